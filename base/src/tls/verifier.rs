//! Judges certificates by the web's rules, at the time of the device's [`Clock`]. A refusal of an
//! outdated certificate names that time: on a device the clock is wrong more often than the
//! certificate.

use std::fmt::{self, Display, Formatter};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};

use crate::clock::Clock;
use crate::date::Utc;

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let since = self.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Some(UnixTime::since_unix_epoch(since))
    }
}

/// The library's own verifier, with words for what is out of date.
#[derive(Debug)]
pub(super) struct Verifier {
    webpki: Arc<WebPkiServerVerifier>,
    clock: Clock,
}

impl Verifier {
    /// Trusts `roots`, which are not empty.
    pub(super) fn new(
        roots: RootCertStore,
        provider: Arc<CryptoProvider>,
        clock: Clock,
    ) -> Result<Self, Error> {
        let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        let webpki = webpki.build().map_err(|error| Error::General(error.to_string()))?;
        Ok(Self { webpki, clock })
    }

    fn explained(&self, error: Error) -> Error {
        let (validity, limit) = match error {
            Error::InvalidCertificate(CertificateError::NotValidYetContext {
                not_before, ..
            }) => ("the certificate is valid from", not_before),
            Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. }) => {
                ("the certificate was valid until", not_after)
            }
            other => return other,
        };
        let (device, judged) = (self.clock.device(), self.clock.now());
        let limit = UNIX_EPOCH + Duration::from_secs(limit.as_secs());
        let untimely = Untimely { validity, limit, device, judged };
        // A `CertificateError` would be printed as its Debug text.
        Error::Other(OtherError(Arc::new(untimely)))
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.webpki
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            .map_err(|error| self.explained(error))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

/// A certificate that is not valid now.
#[derive(Debug)]
struct Untimely {
    validity: &'static str,
    limit: SystemTime,
    device: SystemTime,
    judged: SystemTime,
}

impl std::error::Error for Untimely {}

impl Display for Untimely {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { validity, limit, device, judged } = self;
        let date = |time: &SystemTime| Utc::from(*time);
        write!(f, "{validity} {}; the device's clock says {}", date(limit), date(device))?;
        if judged > device {
            write!(f, ", the date of this program, {}, counts instead", date(judged))?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "verifier_tests.rs"]
mod tests;
