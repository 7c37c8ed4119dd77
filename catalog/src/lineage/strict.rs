//! Which of two declarations is the stricter one.

use crate::manifest::{DataClass, ImportantStatus};

/// The order of classes by what they ask for: an important class needs an assessment, an unknown one a person's look.
pub(super) const fn class(class: DataClass) -> u8 {
    match class {
        DataClass::General => 0,
        DataClass::Unknown => 1,
        DataClass::Important => 2,
        DataClass::Core => 3,
    }
}

/// The same for what an authority has said.
pub(super) const fn status(status: ImportantStatus) -> u8 {
    match status {
        ImportantStatus::No => 0,
        ImportantStatus::Unknown | ImportantStatus::SelfSuspected => 1,
        ImportantStatus::Published | ImportantStatus::Notified => 2,
    }
}
