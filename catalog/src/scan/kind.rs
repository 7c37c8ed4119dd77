//! The kinds of identifiers (INTERFACE.md, "Inspection result").

use serde::{Serialize, Serializer};

use crate::ColumnClass;

/// What an identifier is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Mainland resident identity number, or residence permit for Hong Kong, Macau and Taiwan residents (GB 11643).
    CnResidentId,
    /// The same before 1999, without century and check character.
    CnResidentId15,
    /// Hong Kong identity card.
    Hkid,
    /// Mainland mobile number.
    CnMobile,
    /// Hong Kong mobile number.
    HkMobile,
    /// 回乡证: for Hong Kong and Macau residents who go to the mainland.
    MainlandTravelPermit,
    /// 往来港澳通行证: for mainland residents who go to Hong Kong and Macau.
    ExitEntryPermit,
    /// Passport of the People's Republic.
    CnPassport,
    /// Passport of the Hong Kong SAR.
    HkPassport,
    /// Machine-readable zone of a travel document (ICAO 9303).
    Mrz,
    /// Bank card (ISO/IEC 7812).
    BankCard,
    /// Unified social credit code (GB 32100): an organisation's.
    Uscc,
    /// Address of a mailbox.
    Email,
    /// Mainland vehicle (GA 36).
    CnPlate,
    /// Hong Kong vehicle.
    HkPlate,
    /// Internet address.
    Ip,
}

impl Kind {
    /// Every kind, in the order of the interface.
    pub const ALL: [Self; 16] = [
        Self::CnResidentId,
        Self::CnResidentId15,
        Self::Hkid,
        Self::CnMobile,
        Self::HkMobile,
        Self::MainlandTravelPermit,
        Self::ExitEntryPermit,
        Self::CnPassport,
        Self::HkPassport,
        Self::Mrz,
        Self::BankCard,
        Self::Uscc,
        Self::Email,
        Self::CnPlate,
        Self::HkPlate,
        Self::Ip,
    ];

    /// Its place in [`Self::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The spelling in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CnResidentId => "cn_resident_id",
            Self::CnResidentId15 => "cn_resident_id_15",
            Self::Hkid => "hkid",
            Self::CnMobile => "cn_mobile",
            Self::HkMobile => "hk_mobile",
            Self::MainlandTravelPermit => "mainland_travel_permit",
            Self::ExitEntryPermit => "exit_entry_permit",
            Self::CnPassport => "cn_passport",
            Self::HkPassport => "hk_passport",
            Self::Mrz => "mrz",
            Self::BankCard => "bank_card",
            Self::Uscc => "uscc",
            Self::Email => "email",
            Self::CnPlate => "cn_plate",
            Self::HkPlate => "hk_plate",
            Self::Ip => "ip",
        }
    }

    /// The least class that a column with such identifiers may have. A document or card number alone is sensitive
    /// (PIPL Art. 28; GB/T 35273 Annex B); a company's code and a machine's address name no person by themselves.
    pub const fn class(self) -> ColumnClass {
        match self {
            Self::CnResidentId
            | Self::CnResidentId15
            | Self::Hkid
            | Self::MainlandTravelPermit
            | Self::ExitEntryPermit
            | Self::CnPassport
            | Self::HkPassport
            | Self::Mrz
            | Self::BankCard => ColumnClass::Sensitive,
            Self::CnMobile | Self::HkMobile | Self::Email | Self::CnPlate | Self::HkPlate => ColumnClass::Personal,
            Self::Uscc | Self::Ip => ColumnClass::None,
        }
    }

    /// Whether a different value mostly means a different person. People have several bank cards; a plate, a company's
    /// code and an address on the network are no persons.
    pub const fn counts_persons(self) -> bool {
        !matches!(self, Self::BankCard | Self::Uscc | Self::CnPlate | Self::HkPlate | Self::Ip)
    }

    /// How many characters without meaning pass for each one that fails, as `(passed, failed)`; `None` for kinds whose
    /// candidates do not come from counting.
    pub const fn odds(self) -> Option<(u64, u64)> {
        match self {
            // Eighteen digits, the first not 0: 35 provinces of 90, or one after a 9; 127 years of 10,000 and 365 days of
            // 10,000; one check character of eleven.
            Self::CnResidentId => Some((18, 1_000_000)),
            // One check digit of eleven.
            Self::Hkid => Some((1, 10)),
            // Eleven digits, the first not 0: it is 1 in one of nine, and the second is 3 or more in seven of ten.
            Self::CnMobile => Some((7, 83)),
            // Luhn: one of ten.
            Self::BankCard => Some((1, 9)),
            // One check character of 31.
            Self::Uscc => Some((1, 30)),
            _ => None,
        }
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
