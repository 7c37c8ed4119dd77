//! SQLite's own syncs of folders, made strict: it ignores their failure, because some systems cannot sync a folder at all.

use std::ffi::{CStr, OsStr, c_char, c_int};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Once;

use rusqlite::ffi;

use crate::durable;

/// What SQLite calls for the folder of a file whose name it has to make durable.
type OpenDirectory = unsafe extern "C" fn(*const c_char, *mut c_int) -> c_int;

/// From now on a folder that SQLite wants synced is synced by [`durable::sync_dir`], which ends the process when that fails.
/// Before the first database is opened.
pub(crate) fn sync_strictly() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let strict: OpenDirectory = sync_folder_of;
        // SAFETY: the default file system lives as long as the process and has no connection yet. It calls what is set under
        // this name with the arguments of `OpenDirectory`; how it is passed says nothing of them.
        unsafe {
            let files = ffi::sqlite3_vfs_find(std::ptr::null());
            if let Some(set) = files.as_ref().and_then(|files| files.xSetSystemCall) {
                let strict = std::mem::transmute::<OpenDirectory, unsafe extern "C" fn()>(strict);
                set(files, c"openDirectory".as_ptr(), Some(strict));
            }
        }
    });
}

/// Syncs the folder of `file` and then says that it cannot be opened, which for SQLite means that it has nothing to sync.
///
/// # Safety
///
/// `file` is a C string, `descriptor` a place for one descriptor, which becomes none.
unsafe extern "C" fn sync_folder_of(file: *const c_char, descriptor: *mut c_int) -> c_int {
    // SAFETY: the caller's promise.
    let file = unsafe {
        *descriptor = -1;
        CStr::from_ptr(file)
    };
    // One that cannot be opened is left out, as by SQLite: names that must last were synced when the database was opened.
    let _ = durable::sync_dir(&durable::folder_of(Path::new(OsStr::from_bytes(file.to_bytes()))));
    ffi::SQLITE_CANTOPEN
}
