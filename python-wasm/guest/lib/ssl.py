"""Stands in for the standard library's `ssl`, which needs OpenSSL and sockets; the guest has neither.

HTTP libraries import it, make contexts and set their attributes; all that works and is kept. TLS itself is the host's: it
makes the connections. Wrapping a socket is refused in plain words.
"""

import base64
import errno
import os
import re
from collections import namedtuple
from enum import IntEnum as _IntEnum
from enum import IntFlag as _IntFlag
from typing import NamedTuple

# urllib3 warns when it does not begin so.
OPENSSL_VERSION = "OpenSSL 3.0.0 (none: TLS is done by the host of Exuvia)"
OPENSSL_VERSION_INFO = _OPENSSL_API_VERSION = (3, 0, 0, 0, 0)
OPENSSL_VERSION_NUMBER = 0x30000000

HAS_SNI = HAS_ALPN = HAS_ECDH = HAS_TLSv1_2 = HAS_TLSv1_3 = HAS_NEVER_CHECK_COMMON_NAME = True
HAS_SSLv2 = HAS_SSLv3 = HAS_TLSv1 = HAS_TLSv1_1 = HAS_NPN = HAS_PSK = False
CHANNEL_BINDING_TYPES = []
PEM_HEADER = "-----BEGIN CERTIFICATE-----"
PEM_FOOTER = "-----END CERTIFICATE-----"
SOCKET_WORDS = (
    "Exuvia's guest has no sockets: TLS connections are the host's. Use httpx, requests or urllib, whose requests go "
    "through the host where its policy allows them"
)
_RESTRICTED_SERVER_CIPHERS = _DEFAULT_CIPHERS = "DEFAULT"


class SSLError(OSError):
    """An error of TLS."""

    library = reason = ""

    def __str__(self):
        return str(self.args[-1]) if self.args else ""


class SSLZeroReturnError(SSLError):
    pass


class SSLWantReadError(SSLError):
    pass


class SSLWantWriteError(SSLError):
    pass


class SSLSyscallError(SSLError):
    pass


class SSLEOFError(SSLError):
    pass


class SSLCertVerificationError(SSLError, ValueError):
    verify_code = 0
    verify_message = ""


CertificateError = SSLCertVerificationError
socket_error = OSError


class _SSLMethod(_IntEnum):
    PROTOCOL_SSLv23 = PROTOCOL_TLS = 2
    PROTOCOL_TLSv1 = 3
    PROTOCOL_TLSv1_1 = 4
    PROTOCOL_TLSv1_2 = 5
    PROTOCOL_TLS_CLIENT = 16
    PROTOCOL_TLS_SERVER = 17


class VerifyMode(_IntEnum):
    CERT_NONE = 0
    CERT_OPTIONAL = 1
    CERT_REQUIRED = 2


class TLSVersion(_IntEnum):
    MINIMUM_SUPPORTED = -2
    SSLv3 = 768
    TLSv1 = 769
    TLSv1_1 = 770
    TLSv1_2 = 771
    TLSv1_3 = 772
    MAXIMUM_SUPPORTED = -1


class Options(_IntFlag):
    OP_ALL = 0x80000050
    OP_NO_SSLv2 = 0
    OP_NO_SSLv3 = 0x2000000
    OP_NO_TLSv1 = 0x4000000
    OP_NO_TLSv1_1 = 0x10000000
    OP_NO_TLSv1_2 = 0x8000000
    OP_NO_TLSv1_3 = 0x20000000
    OP_CIPHER_SERVER_PREFERENCE = 0x400000
    OP_SINGLE_DH_USE = 0
    OP_SINGLE_ECDH_USE = 0
    OP_NO_TICKET = 0x4000
    OP_NO_COMPRESSION = 0x20000
    OP_NO_RENEGOTIATION = 0x40000000
    OP_ENABLE_MIDDLEBOX_COMPAT = 0x100000
    OP_ENABLE_KTLS = 0x8
    OP_IGNORE_UNEXPECTED_EOF = 0x80
    OP_LEGACY_SERVER_CONNECT = 0x4


class VerifyFlags(_IntFlag):
    VERIFY_DEFAULT = 0
    VERIFY_CRL_CHECK_LEAF = 0x4
    VERIFY_CRL_CHECK_CHAIN = 0xC
    VERIFY_X509_STRICT = 0x20
    VERIFY_ALLOW_PROXY_CERTS = 0x40
    VERIFY_X509_TRUSTED_FIRST = 0x8000
    VERIFY_X509_PARTIAL_CHAIN = 0x80000


class SSLErrorNumber(_IntEnum):
    SSL_ERROR_SSL = 1
    SSL_ERROR_WANT_READ = 2
    SSL_ERROR_WANT_WRITE = 3
    SSL_ERROR_WANT_X509_LOOKUP = 4
    SSL_ERROR_SYSCALL = 5
    SSL_ERROR_ZERO_RETURN = 6
    SSL_ERROR_WANT_CONNECT = 7
    SSL_ERROR_EOF = 8
    SSL_ERROR_INVALID_ERROR_CODE = 10


class AlertDescription(_IntEnum):
    ALERT_DESCRIPTION_CLOSE_NOTIFY = 0
    ALERT_DESCRIPTION_HANDSHAKE_FAILURE = 40
    ALERT_DESCRIPTION_INTERNAL_ERROR = 80


# The standard module has every member as a constant, too.
for _enum in (_SSLMethod, VerifyMode, Options, VerifyFlags, SSLErrorNumber, AlertDescription):
    globals().update(_enum.__members__)
del _enum

DefaultVerifyPaths = namedtuple(
    "DefaultVerifyPaths", "cafile capath openssl_cafile_env openssl_cafile openssl_capath_env openssl_capath"
)
_ASN1Object = namedtuple("_ASN1Object", "nid shortname longname oid")


class Purpose(_ASN1Object):
    def __new__(cls, nid, name, oid):
        return super().__new__(cls, nid, name, name, oid)


Purpose.SERVER_AUTH = Purpose(129, "serverAuth", "1.3.6.1.5.5.7.3.1")
Purpose.CLIENT_AUTH = Purpose(130, "clientAuth", "1.3.6.1.5.5.7.3.2")


class _Cipher(NamedTuple):
    name: str
    protocol: str


class SSLContext:
    """Settings of TLS connections: kept, and never used, since no connection is made here."""

    sslsocket_class = None
    sslobject_class = None

    def __new__(cls, protocol=None, *args, **kwargs):
        self = super().__new__(cls)
        self._protocol = _SSLMethod(_SSLMethod.PROTOCOL_TLS if protocol is None else protocol)
        return self

    def __init__(self, protocol=None):
        client = self._protocol == _SSLMethod.PROTOCOL_TLS_CLIENT
        self.check_hostname = client
        self.verify_mode = VerifyMode.CERT_REQUIRED if client else VerifyMode.CERT_NONE
        self.verify_flags = VerifyFlags.VERIFY_X509_TRUSTED_FIRST
        self.options = Options.OP_ALL | Options.OP_NO_SSLv3
        self.minimum_version = TLSVersion.TLSv1_2
        self.maximum_version = TLSVersion.MAXIMUM_SUPPORTED
        self.post_handshake_auth = False
        self.hostname_checks_common_name = False
        self.keylog_filename = None
        self.sni_callback = None
        self.num_tickets = 2
        self.security_level = 2
        self._authorities = []

    @property
    def protocol(self):
        return self._protocol

    def set_ciphers(self, ciphers):
        self._ciphers = ciphers

    def get_ciphers(self):
        return []

    def set_alpn_protocols(self, protocols):
        self._alpn = list(protocols)

    def set_npn_protocols(self, protocols):
        pass

    def set_ecdh_curve(self, name):
        pass

    def set_servername_callback(self, callback):
        self.sni_callback = callback

    def load_dh_params(self, path):
        open(path).close()

    def load_cert_chain(self, certfile, keyfile=None, password=None):
        raise SSLError(errno.ENOTSUP, "client certificates are not supported: the host makes the TLS connections")

    def load_verify_locations(self, cafile=None, capath=None, cadata=None):
        if cafile is None and capath is None and cadata is None:
            raise TypeError("cafile, capath and cadata cannot be all omitted")
        if cafile is not None:
            open(cafile, "rb").close()

    def load_default_certs(self, purpose=Purpose.SERVER_AUTH):
        pass

    def set_default_verify_paths(self):
        pass

    def get_ca_certs(self, binary_form=False):
        return []

    def cert_store_stats(self):
        return {"x509": 0, "crl": 0, "x509_ca": 0}

    def session_stats(self):
        return dict.fromkeys("number connect connect_good accept accept_good hits misses timeouts".split(), 0)

    def wrap_socket(self, sock=None, *args, **kwargs):
        raise PermissionError(errno.EPERM, SOCKET_WORDS)

    wrap_bio = wrap_socket


class _NoTLS:
    def __init__(self, *args, **kwargs):
        raise TypeError(f"{type(self).__name__} does not have a public constructor. Instances are made by SSLContext")


class SSLSocket(_NoTLS):
    """Never made; here for `isinstance`."""


class SSLObject(_NoTLS):
    """Never made; here for `isinstance`."""


class SSLSession(_NoTLS):
    """Never made; here for `isinstance`."""


class MemoryBIO:
    """A buffer of bytes between a program and TLS."""

    def __init__(self):
        self._data = bytearray()
        self._ended = False

    def read(self, size=-1):
        size = len(self._data) if size is None or size < 0 else size
        data = bytes(self._data[:size])
        del self._data[:size]
        return data

    def write(self, data):
        self._data += data
        return len(data)

    def write_eof(self):
        self._ended = True

    @property
    def pending(self):
        return len(self._data)

    @property
    def eof(self):
        return self._ended and not self._data


SSLContext.sslsocket_class = SSLSocket
SSLContext.sslobject_class = SSLObject


def create_default_context(purpose=Purpose.SERVER_AUTH, *, cafile=None, capath=None, cadata=None):
    if not isinstance(purpose, _ASN1Object):
        raise TypeError(purpose)
    server = purpose == Purpose.CLIENT_AUTH
    context = SSLContext(_SSLMethod.PROTOCOL_TLS_SERVER if server else _SSLMethod.PROTOCOL_TLS_CLIENT)
    if cafile or capath or cadata:
        context.load_verify_locations(cafile, capath, cadata)
    return context


def _create_unverified_context(protocol=None, *, cert_reqs=VerifyMode.CERT_NONE, check_hostname=False, **_):
    context = SSLContext(_SSLMethod.PROTOCOL_TLS_CLIENT if protocol is None else protocol)
    context.check_hostname = check_hostname
    context.verify_mode = VerifyMode(cert_reqs)
    return context


_create_default_https_context = create_default_context
_create_stdlib_context = _create_unverified_context


def wrap_socket(*args, **kwargs):
    raise PermissionError(errno.EPERM, SOCKET_WORDS)


def get_server_certificate(addr, ssl_version=None, ca_certs=None, timeout=None):
    raise PermissionError(errno.EPERM, SOCKET_WORDS)


def get_default_verify_paths():
    return DefaultVerifyPaths(None, None, "SSL_CERT_FILE", "", "SSL_CERT_DIR", "")


def get_protocol_name(protocol_code):
    return _SSLMethod(protocol_code).name


def match_hostname(cert, hostname):
    raise CertificateError("the host verifies certificates")


def cert_time_to_seconds(cert_time):
    """Seconds since the epoch of a date as certificates write it: `Jan  5 09:34:43 2018 GMT`."""
    from calendar import timegm
    from time import strptime

    return timegm(strptime(cert_time, "%b %d %H:%M:%S %Y GMT"))


def DER_cert_to_PEM_cert(der_cert_bytes):
    text = base64.standard_b64encode(der_cert_bytes).decode("ascii")
    lines = [text[i : i + 64] for i in range(0, len(text), 64)]
    return "\n".join([PEM_HEADER, *lines, PEM_FOOTER]) + "\n"


def PEM_cert_to_DER_cert(pem_cert_string):
    match = re.fullmatch(f"\\s*{PEM_HEADER}(.*){PEM_FOOTER}\\s*", pem_cert_string, re.DOTALL)
    if match is None:
        raise ValueError(f"Invalid PEM encoding; must start with {PEM_HEADER} and end with {PEM_FOOTER}")
    return base64.decodebytes(match[1].encode("ASCII", "strict"))


def RAND_bytes(n, /):
    return os.urandom(n)


def RAND_status():
    return True


def RAND_add(string, entropy, /):
    pass


