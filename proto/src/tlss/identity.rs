//! The first message, in which a device says who calls: `mac=…&brand=…&model=…`, in exactly this
//! order, since servers split it by position.

use std::fmt;

/// Longest brand or model, in bytes.
const LONGEST_NAME: usize = 64;

/// What a device says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    mac: [u8; 6],
    brand: String,
    model: String,
}

/// Why an identity is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The message is not the three fields in their order.
    #[error("expected mac=…&brand=…&model=…, in this order and nothing else")]
    Fields,
    /// The address is no MAC address as it is sent.
    #[error("mac: expected 12 hexadecimal digits")]
    Mac,
    /// A brand that cannot be sent.
    #[error("brand: expected 1 to {LONGEST_NAME} printable ASCII characters other than & and =")]
    Brand,
    /// A model that cannot be sent.
    #[error("model: expected 1 to {LONGEST_NAME} printable ASCII characters other than & and =")]
    Model,
}

impl Identity {
    /// An identity as it can be sent.
    ///
    /// # Errors
    ///
    /// Brand or model has a character that would end the field, or a length other than 1 to 64 bytes.
    pub fn new(mac: [u8; 6], brand: &str, model: &str) -> Result<Self, IdentityError> {
        check(brand, IdentityError::Brand)?;
        check(model, IdentityError::Model)?;
        Ok(Self { mac, brand: brand.to_owned(), model: model.to_owned() })
    }

    /// Reads a device's first message, as a server does.
    ///
    /// # Errors
    ///
    /// It is not three fields, or one of them is not as a device sends it.
    pub fn parse(message: &[u8]) -> Result<Self, IdentityError> {
        let text = std::str::from_utf8(message).map_err(|_| IdentityError::Fields)?;
        let fields: Vec<_> = text.split('&').collect();
        let [mac, brand, model] = fields[..] else { return Err(IdentityError::Fields) };
        let value = |field: &'_ str, name| field.strip_prefix(name).map(str::to_owned);
        let mac = value(mac, "mac=").ok_or(IdentityError::Fields)?;
        let brand = value(brand, "brand=").ok_or(IdentityError::Fields)?;
        let model = value(model, "model=").ok_or(IdentityError::Fields)?;
        Self::new(digits(&mac).ok_or(IdentityError::Mac)?, &brand, &model)
    }

    /// The same device with another hardware address.
    pub fn with_mac(self, mac: [u8; 6]) -> Self {
        Self { mac, ..self }
    }

    /// The hardware address.
    pub fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// Name of the device's maker.
    pub fn brand(&self) -> &str {
        &self.brand
    }

    /// What the maker calls it.
    pub fn model(&self) -> &str {
        &self.model
    }
}

/// The message as it is sent, without its length.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("mac=")?;
        self.mac.iter().try_for_each(|byte| write!(f, "{byte:02X}"))?;
        write!(f, "&brand={}&model={}", self.brand, self.model)
    }
}

/// The characters of a text that can be a brand or a model: at most 64 printable ASCII characters
/// other than `&` and `=`.
pub fn sendable(text: &str) -> String {
    let fits = |c: &char| (' '..='~').contains(c) && !matches!(c, '&' | '=');
    text.chars().filter(fits).take(LONGEST_NAME).collect()
}

fn check(name: &str, error: IdentityError) -> Result<(), IdentityError> {
    if !name.is_empty() && sendable(name) == name { Ok(()) } else { Err(error) }
}

fn digits(text: &str) -> Option<[u8; 6]> {
    if text.len() != 12 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let value = u64::from_str_radix(text, 16).ok()?.to_be_bytes();
    value[2..].try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [0x00, 0x13, 0x23, 0xa0, 0x07, 0xad];

    #[test]
    fn the_example_of_the_document_is_41_bytes() {
        let identity = Identity::new(MAC, "CAP", "NS6202HD").unwrap().to_string();
        assert_eq!(identity, "mac=001323A007AD&brand=CAP&model=NS6202HD");
        assert_eq!(identity.len(), 41);
    }

    #[test]
    fn what_is_sent_is_read_back() {
        let identity = Identity::new(MAC, "C A.P/1", "N-1").unwrap();
        assert_eq!(Identity::parse(identity.to_string().as_bytes()), Ok(identity));
        let lower = Identity::parse(b"mac=001323a007ad&brand=b&model=m").unwrap();
        assert_eq!((lower.mac(), lower.brand(), lower.model()), (MAC, "b", "m"));
    }

    #[test]
    fn no_name_may_end_its_field() {
        for name in ["", "a&b", "a=b", "a\r\nb", "a\0", "é", &"x".repeat(65)] {
            assert_eq!(Identity::new(MAC, name, "m"), Err(IdentityError::Brand), "{name:?}");
            assert_eq!(Identity::new(MAC, "b", name), Err(IdentityError::Model), "{name:?}");
        }
    }

    #[test]
    fn any_text_can_be_made_sendable() {
        assert_eq!(sendable("NS-62 a&b=c\u{e9}\n\0!"), "NS-62 abc!");
        assert_eq!(sendable(&"x".repeat(65)), "x".repeat(64));
        assert_eq!(sendable("\u{6444}&="), "");
    }

    #[test]
    fn a_server_takes_exactly_three_fields_in_their_order() {
        use IdentityError::{Brand, Fields, Mac};
        for (message, error) in [
            (&b""[..], Fields),
            (b"mac=001323A007AD&brand=b", Fields),
            (b"mac=001323A007AD&brand=b&model=m&x=y", Fields),
            (b"brand=b&mac=001323A007AD&model=m", Fields),
            (b"mac=\xff&brand=b&model=m", Fields),
            (b"mac=00:13:23:A0:07:AD&brand=b&model=m", Mac),
            (b"mac=+01323A007AD&brand=b&model=m", Mac),
            (b"mac=001323A007AD&brand=&model=m", Brand),
        ] {
            assert_eq!(Identity::parse(message), Err(error), "{}", message.escape_ascii());
        }
    }
}
