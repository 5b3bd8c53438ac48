# The tag that C++ exceptions are thrown with; clang refers to it and expects the program to define it.
.tagtype __cpp_exception i32
.globl __cpp_exception
__cpp_exception:
