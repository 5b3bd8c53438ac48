import ssl
ssl.create_default_context().wrap_socket(None, server_hostname="example.com")
