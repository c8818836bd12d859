//! The C library's regular expressions, as a second opinion. All of this crate's foreign calls are here.

use std::ffi::CString;
use std::mem::MaybeUninit;

/// Whether an extended regular expression matches all of a text; `None` where the C library refuses it.
pub fn matches_whole(pattern: &[u8], text: &[u8]) -> Option<bool> {
    let pattern = CString::new(pattern).ok()?;
    let subject = CString::new(text).ok()?;
    let mut compiled = MaybeUninit::<libc::regex_t>::uninit();
    // SAFETY: the pattern ends with a NUL, and regcomp fills the structure when it answers 0.
    let failed =
        unsafe { libc::regcomp(compiled.as_mut_ptr(), pattern.as_ptr(), libc::REG_EXTENDED) };
    if failed != 0 {
        return None;
    }
    let mut found = [libc::regmatch_t { rm_so: -1, rm_eo: -1 }];
    // SAFETY: the structure was filled by regcomp, is used by this call and freed once, here; the subject
    // ends with a NUL, and there is room for the one match that is asked for.
    let answer = unsafe {
        let mut compiled = compiled.assume_init();
        let answer = libc::regexec(&compiled, subject.as_ptr(), 1, found.as_mut_ptr(), 0);
        libc::regfree(&mut compiled);
        answer
    };
    // The leftmost match is the longest one that begins there.
    Some(answer == 0 && found[0].rm_so == 0 && found[0].rm_eo as usize == text.len())
}
