//! What a certificate says of itself (RFC 5280, 4.1), for people. Nothing of it is trusted here.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::text;

/// Object identifiers of the parts of a name: common name, organisation, unit.
const NAMES: [[u8; 3]; 3] = [[0x55, 4, 3], [0x55, 4, 10], [0x55, 4, 11]];
const SEQUENCE: u8 = 0x30;
/// Tag of the version of a certificate, which may be missing.
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// Tag of text in UTF-16, big-endian.
const BMP_STRING: u8 = 0x1e;

/// What a certificate says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// Whom it is for; empty where it says that only in a list of names.
    pub subject: String,
    /// Who gave it.
    pub issuer: String,
    /// From when on it is valid, as RFC 3339 writes it.
    pub from: String,
    /// Until when it is valid.
    pub until: String,
}

impl Certificate {
    /// Reads a certificate; `None` if it is none.
    pub fn read(der: &[u8]) -> Option<Self> {
        let body = &mut inner(der, SEQUENCE)?;
        let body = &mut expect(body, SEQUENCE)?;
        if body.first() == Some(&VERSION) {
            expect(body, VERSION)?;
        }
        let (_number, _algorithm) = (next(body)?, expect(body, SEQUENCE)?);
        let issuer = name(expect(body, SEQUENCE)?)?;
        let validity = &mut expect(body, SEQUENCE)?;
        let (from, until) = (time(validity)?, time(validity)?);
        let subject = name(expect(body, SEQUENCE)?)?;
        Some(Self { subject, issuer, from, until })
    }

    /// Reads the certificates of a text in PEM, of which those that cannot be read are left out.
    pub fn of_pem(pem: &[u8]) -> Vec<Self> {
        let certificates = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
        certificates.filter_map(|certificate| Self::read(&certificate)).collect()
    }
}

/// Takes the next value: its tag and its content.
fn next<'a>(der: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let [tag, first, rest @ ..] = *der else { return None };
    let (length, rest) = match usize::from(*first) {
        short @ 0..=0x7f => (short, rest),
        long @ 0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(long - 0x80)?;
            (digits.iter().fold(0, |n, digit| n << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    *der = rest;
    Some((*tag, content))
}

/// Takes the content of the next value, which has to have this tag.
fn expect<'a>(der: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    let (found, content) = next(der)?;
    (found == tag).then_some(content)
}

fn inner(mut der: &[u8], tag: u8) -> Option<&[u8]> {
    expect(&mut der, tag)
}

/// The common name, or else the organisation.
fn name(mut der: &[u8]) -> Option<String> {
    let mut found = [const { String::new() }; NAMES.len()];
    while !der.is_empty() {
        let (_, mut set) = next(&mut der)?;
        let pair = &mut expect(&mut set, SEQUENCE)?;
        let ((_, kind), (tag, value)) = (next(pair)?, next(pair)?);
        let Some(at) = NAMES.iter().position(|name| name == kind) else { continue };
        found[at] = match tag {
            BMP_STRING => {
                let units: Vec<_> =
                    value.as_chunks::<2>().0.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
                text::name(&String::from_utf16_lossy(&units))
            }
            _ => text::name(&String::from_utf8_lossy(value)),
        };
    }
    Some(found.into_iter().find(|name| !name.is_empty()).unwrap_or_default())
}

/// Takes a time. Years of two digits are those from 1950 to 2049.
fn time(der: &mut &[u8]) -> Option<String> {
    let (tag, digits) = next(der)?;
    let digits = str::from_utf8(digits).ok()?.strip_suffix('Z')?;
    let century = match (tag, digits.get(..2)?) {
        (UTC_TIME, years) if years < "50" => "20",
        (UTC_TIME, _) => "19",
        (GENERALIZED_TIME, _) => "",
        _ => return None,
    };
    let digits = [century, digits].concat();
    if digits.len() != 14 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize| &digits[from..from + 2];
    let [month, day, hour, minute, second] = [4, 6, 8, 10, 12].map(part);
    Some(format!("{}-{month}-{day}T{hour}:{minute}:{second}Z", &digits[..4]))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

    use super::*;

    fn made(until: i32) -> (Vec<u8>, String) {
        let mut params = CertificateParams::new(vec!["cloud.example".into()]).unwrap();
        (params.not_before, params.not_after) =
            (date_time_ymd(1999, 12, 31), date_time_ymd(until, 2, 3));
        params.distinguished_name.push(DnType::CommonName, "云 cloud");
        params.distinguished_name.push(DnType::OrganizationName, "Example");
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        (certificate.der().to_vec(), certificate.pem())
    }

    #[test]
    fn names_and_dates_are_read() {
        for (until, want) in [(2049, "2049-02-03T00:00:00Z"), (2050, "2050-02-03T00:00:00Z")] {
            let read = Certificate::read(&made(until).0).unwrap();
            assert_eq!((&*read.subject, &*read.issuer), ("云 cloud", "云 cloud"));
            assert_eq!((&*read.from, &*read.until), ("1999-12-31T00:00:00Z", want));
        }
        let pem =
            [made(2030).1, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".into()];
        assert_eq!(Certificate::of_pem(pem.concat().as_bytes()).len(), 1);
    }

    #[test]
    fn whatever_is_cut_or_changed_is_read_without_harm() {
        let (der, _) = made(2030);
        for end in 0..der.len() {
            assert_eq!(Certificate::read(&der[..end]), None);
        }
        for at in 0..der.len() {
            for value in [0, 0x7f, 0x80, 0x84, 0xff] {
                let mut changed = der.clone();
                changed[at] = value;
                Certificate::read(&changed);
            }
        }
    }
}
