//! Why a request got no answer: whose fault it is, as far as TLS tells.

use std::error::Error;
use std::io;

use rustls::AlertDescription;

use crate::error::CommandError;
use crate::profile::GatewayUrl;

/// No answer, or not all of it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TransportError {
    /// One side did not accept the other's certificate: trying again does not help.
    #[error("{0}")]
    Authentication(String),
    /// The request cannot be sent at all.
    #[error("{0}")]
    Request(String),
    /// No connection.
    #[error("{0}")]
    Unreachable(String),
    /// The connection ended, or nothing came for too long.
    #[error("{0}")]
    Broken(String),
    /// The answer is larger than it may be.
    #[error("{0}")]
    TooLarge(String),
}

impl TransportError {
    /// Whether another attempt cannot help.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Authentication(_) | Self::Request(_) | Self::TooLarge(_))
    }
}

impl From<TransportError> for CommandError {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::Authentication(text) => Self::Authentication(text),
            TransportError::Request(text) => Self::Usage(text),
            TransportError::Unreachable(text) | TransportError::Broken(text) | TransportError::TooLarge(text) => {
                Self::Unavailable(text)
            }
        }
    }
}

pub(super) fn of_io(url: &GatewayUrl, error: &io::Error) -> TransportError {
    of_tls(error).unwrap_or_else(|| TransportError::Unreachable(format!("no TLS connection to {url}: {error}")))
}

pub(super) fn of_error(url: &GatewayUrl, error: &hyper::Error) -> TransportError {
    of_error_text(&format!("connection to {url} failed"), error)
}

pub(super) fn of_error_text(what: &str, error: &hyper::Error) -> TransportError {
    of_tls(error).unwrap_or_else(|| {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        TransportError::Broken(format!("{what}: {error}{cause}"))
    })
}

/// The TLS error in a chain of causes, if it concerns a certificate.
fn of_tls(error: &(dyn Error + 'static)) -> Option<TransportError> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return certificate_fault(tls).map(TransportError::Authentication);
        }
        // An `io::Error` made from another error hides it from `source`.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

fn certificate_fault(error: &rustls::Error) -> Option<String> {
    match error {
        rustls::Error::InvalidCertificate(why) => {
            Some(format!("the gateway's certificate is not trusted: {why:?}; check `--ca` and the name in the address"))
        }
        rustls::Error::AlertReceived(alert) => alert_text(*alert)
            .map(|text| format!("the gateway refused the certificate: {text}; `kouan doctor` checks it")),
        _ => None,
    }
}

/// What an alert says about our certificate (RFC 8446 §6.2); others say nothing about it.
const fn alert_text(alert: AlertDescription) -> Option<&'static str> {
    Some(match alert {
        AlertDescription::BadCertificate => "it is not acceptable as a client's",
        AlertDescription::UnsupportedCertificate => "it is of an unsupported kind",
        AlertDescription::CertificateRevoked => "it is revoked",
        AlertDescription::CertificateExpired => "it has expired, or is not yet valid",
        AlertDescription::CertificateUnknown => "it is not acceptable",
        AlertDescription::UnknownCA => "no authority of its trust domain vouches for it",
        AlertDescription::AccessDenied => "its participant is not admitted",
        AlertDescription::DecryptError => "its key does not prove it",
        AlertDescription::CertificateRequired => "none was presented",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_certificate_is_found_below_other_errors() {
        let tls = rustls::Error::AlertReceived(AlertDescription::CertificateRevoked);
        let error = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, tls));
        assert!(matches!(of_tls(&error), Some(TransportError::Authentication(text)) if text.contains("revoked")));
        let other = io::Error::other(rustls::Error::AlertReceived(AlertDescription::CloseNotify));
        assert!(of_tls(&other).is_none());
        assert!(of_tls(&io::Error::from(io::ErrorKind::ConnectionReset)).is_none());
    }
}
