//! What the program is told instead of an answer. `exuvia_guest/http/errors.py` knows the types, and raises what the
//! program's library would.

use crate::executions::Answer;
use crate::gate::Denied;
use exuvia_runtime::Stay;
use std::time::Duration;

#[derive(Debug)]
pub(super) enum Failure {
    Denied(Denied),
    /// The request is not one that can be sent.
    Request(String),
    /// The name does not lead to an address.
    Name(String),
    Connect(String),
    ConnectTimeout(Duration),
    /// The server's certificate is not to be trusted.
    Certificate(String),
    Tls(String),
    Write(String),
    WriteTimeout(Duration),
    /// The server ended the connection before its response began.
    Disconnected,
    /// It ended the exchange so, by HTTP/2.
    Reset(String),
    ReadTimeout(Duration),
    /// What came is not HTTP.
    Protocol(String),
    /// The response ended before its end.
    Read(String),
    /// The response is larger, or the exchange longer, than the server allows.
    TooMuch(String),
    /// The exchange was under way when the server died.
    Lost,
    /// Nobody knows whether the request took effect.
    InDoubt,
}

impl Failure {
    pub(super) fn into_answer(self) -> Answer {
        let (kind, message) = match self {
            Self::Denied(denied) => return Answer::Denied(denied),
            Self::Request(why) => ("HttpRequest", why),
            Self::Name(why) => ("HttpName", why),
            Self::Connect(why) => ("HttpConnect", why),
            Self::ConnectTimeout(after) => ("HttpConnectTimeout", format!("no connection within {after:?}")),
            Self::Certificate(why) => ("HttpCertificate", why),
            Self::Tls(why) => ("HttpTls", why),
            Self::Write(why) => ("HttpWrite", why),
            Self::WriteTimeout(after) => {
                ("HttpWriteTimeout", format!("the server took nothing of the body for {after:?}"))
            }
            Self::Disconnected => ("HttpDisconnected", "the server ended the connection without a response".into()),
            Self::Reset(why) => ("HttpDisconnected", why),
            Self::ReadTimeout(after) => ("HttpReadTimeout", format!("the server sent nothing for {after:?}")),
            Self::Protocol(why) => ("HttpProtocol", why),
            Self::Read(why) => ("HttpRead", why),
            Self::TooMuch(why) => ("HttpTooMuch", why),
            Self::Lost => ("HttpLost", LOST.into()),
            Self::InDoubt => ("ToolInDoubt", IN_DOUBT.into()),
        };
        Answer::error(kind, message)
    }
}

const LOST: &str = "the rest of this response is lost, as Exuvia's server was started anew while it was being read: make the \
     request again";
const IN_DOUBT: &str = "the server died at about this HTTP request, and whether it took effect is not known: look at what it \
     was to change before you send it again";

impl From<Stay> for Failure {
    fn from(stay: Stay) -> Self {
        match stay {
            Stay::InDoubt => Self::InDoubt,
            Stay::Unrecorded(why) => {
                Self::Write(format!("the request was not sent, as that cannot be written down: {why}"))
            }
        }
    }
}

/// An error with its causes, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
