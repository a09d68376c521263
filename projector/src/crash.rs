//! Where a projector can be made to crash: on the path of a write, from its bulk to its watermark.

use chassis::crash_point::CrashPath;

pub static WRITE: CrashPath = CrashPath::new(&["after-bulk", "after-refresh", "after-watermark"]);
