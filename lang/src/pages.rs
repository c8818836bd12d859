//! Memory straight from the system, in whole pages, that can be laid aside: its content goes to a file,
//! the pages go back to the system, and each is read again when somebody touches it. What the memory
//! means, and when it is worth laying aside, is not known here.
//!
//! What is laid aside is mapped privately: what is written to it later stays in memory, and the file
//! changes only when the pages are laid aside again.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;

/// Ranges of at least this size ask for huge pages: a page fault for each 4 KiB was a fifth of
/// the time of evaluations that allocate much.
pub(crate) const HUGE_PAGE_BYTES: usize = 2 << 20;

const PAGE_BYTES: usize = 4 << 10;

/// In the kernel's table of pages: one that is there, one that is swapped out, one that a file holds.
const PRESENT: u64 = 1 << 63;
const SWAPPED: u64 = 1 << 62;
const OF_FILE: u64 = 1 << 61;

/// Asks for huge pages where a range of addresses has room for them. Whether the system gives
/// any does not matter.
pub(crate) fn prefer_huge_pages(range: std::ops::Range<usize>) {
    let from = range.start.next_multiple_of(HUGE_PAGE_BYTES);
    let bytes = range.end.saturating_sub(from);
    // SAFETY: the advice changes no content, and ranges that are not mapped are refused.
    unsafe {
        libc::madvise(std::ptr::without_provenance_mut(from), bytes, libc::MADV_HUGEPAGE);
    }
}

/// Gives memory that was freed back to the system.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it changes nothing that is allocated.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Where memory is laid aside: a file that nobody else writes to.
pub struct Shelf {
    file: File,
    end: u64,
    /// The kernel's table of this process's pages.
    table: File,
}

impl Shelf {
    /// In this file, which is empty and has no name that anybody could open.
    ///
    /// # Errors
    /// When the system does not tell which pages were written to, or they are not of the usual size.
    pub fn new(file: File) -> io::Result<Shelf> {
        // SAFETY: it only asks.
        if unsafe { libc::sysconf(libc::_SC_PAGESIZE) } != PAGE_BYTES as i64 {
            return Err(io::ErrorKind::Unsupported.into());
        }
        Ok(Shelf { file, end: 0, table: File::open("/proc/self/pagemap")? })
    }

    /// The bytes of the file.
    pub fn bytes(&self) -> u64 {
        self.end
    }

    fn room(&mut self, bytes: usize) -> io::Result<u64> {
        let at = self.end;
        self.file.set_len(at + bytes as u64)?;
        self.end = at + bytes as u64;
        Ok(at)
    }
}

/// A range of pages that is its owner's alone.
pub(crate) struct Pages {
    at: NonNull<u8>,
    bytes: usize,
    /// Where in the shelf's file its content lies, once it was laid aside.
    place: Option<u64>,
}

// SAFETY: the range is its owner's alone, whichever thread that is on, as a boxed slice of bytes would be; what else
// may lie in it is for the owner's own bounds to say.
unsafe impl Send for Pages {}
// SAFETY: through a shared borrow nothing is read or written here.
unsafe impl Sync for Pages {}

impl Pages {
    /// Zeroed memory, which begins where a huge page may.
    pub(crate) fn map(bytes: usize) -> io::Result<Pages> {
        let bytes = bytes.next_multiple_of(PAGE_BYTES);
        let whole = bytes + HUGE_PAGE_BYTES;
        let (access, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new range, wherever the system likes; nothing that is mapped changes.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), whole, access, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let before = start.align_offset(HUGE_PAGE_BYTES);
        let at = start.cast::<u8>().wrapping_add(before);
        // SAFETY: both are ends of the range that was just mapped, which nobody uses.
        unsafe {
            libc::munmap(start, before);
            libc::munmap(at.wrapping_add(bytes).cast(), HUGE_PAGE_BYTES - before);
        }
        prefer_huge_pages(at.addr()..at.addr() + bytes);
        let at = NonNull::new(at).expect("no range begins at address zero");
        Ok(Pages { at, bytes, place: None })
    }

    pub(crate) fn start(&self) -> NonNull<u8> {
        self.at
    }

    fn as_ptr(&self) -> *mut u8 {
        self.at.as_ptr()
    }

    /// Writes to the file what is in memory only, and gives the memory back. When that fails
    /// everything is where it was.
    ///
    /// Whoever else could write to the pages must be at rest: the exclusive borrow says so.
    pub(crate) fn lay_aside(&mut self, shelf: &mut Shelf) -> io::Result<()> {
        let place = match self.place {
            Some(place) => place,
            None => shelf.room(self.bytes)?,
        };
        let mut table = vec![0; self.bytes / PAGE_BYTES * size_of::<u64>()];
        let first = (self.at.addr().get() / PAGE_BYTES * size_of::<u64>()) as u64;
        shelf.table.read_exact_at(&mut table, first)?;
        let entries = table.as_chunks::<{ size_of::<u64>() }>().0;
        let is_own = |entry: &[u8; 8]| {
            let entry = u64::from_ne_bytes(*entry);
            entry & (PRESENT | SWAPPED) != 0 && entry & OF_FILE == 0
        };
        let mut next = 0;
        for run in entries.chunk_by(|one, other| is_own(one) == is_own(other)) {
            let (from, bytes) = (next, run.len() * PAGE_BYTES);
            next += bytes;
            if is_own(&run[0]) {
                self.write(&shelf.file, from, bytes, place)?;
            }
        }
        match self.place {
            // SAFETY: every page is either as the file has it, or was just written to it.
            Some(_) => unsafe {
                libc::madvise(self.as_ptr().cast(), self.bytes, libc::MADV_DONTNEED);
            },
            None => {
                self.map_again(&shelf.file, place);
                self.place = Some(place);
            }
        }
        Ok(())
    }

    /// Writes a part to its place in the file.
    fn write(&self, file: &File, from: usize, bytes: usize, place: u64) -> io::Result<()> {
        let mut done = 0;
        while done < bytes {
            let at = from + done;
            // SAFETY: the range lies within the pages. The system copies the bytes, written or not;
            // nothing here looks at them.
            let written = unsafe {
                let start = self.as_ptr().add(at).cast();
                let offset = (place + at as u64).cast_signed();
                libc::pwrite(file.as_raw_fd(), start, bytes - done, offset)
            };
            match usize::try_from(written) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => done += written,
                Err(_) => match io::Error::last_os_error() {
                    error if error.kind() == io::ErrorKind::Interrupted => {}
                    error => return Err(error),
                },
            }
        }
        Ok(())
    }

    /// Puts the file's content in the place of what is mapped.
    fn map_again(&self, file: &File, place: u64) {
        let (access, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_FIXED);
        let (at, offset) = (self.as_ptr().cast(), place.cast_signed());
        // SAFETY: the range is the owner's alone, and what is mapped now has the same content: each
        // page that was ever written to was written to the file, and where there was none the file
        // has a hole, which reads as zeroes too.
        let mapped = unsafe { libc::mmap(at, self.bytes, access, flags, file.as_raw_fd(), offset) };
        if mapped != at {
            // The former mapping may be gone, and with it what others rest on: no unwinding.
            eprintln!("floe: memory cannot be mapped again: {}", io::Error::last_os_error());
            std::process::abort();
        }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: mapped by `map`, and used by nobody any more.
        unsafe { libc::munmap(self.as_ptr().cast(), self.bytes) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resident(pages: &Pages) -> usize {
        let table = File::open("/proc/self/pagemap").expect("it is there");
        let mut entries = vec![0; pages.bytes / PAGE_BYTES * 8];
        let first = (pages.at.addr().get() / PAGE_BYTES * 8) as u64;
        table.read_exact_at(&mut entries, first).expect("reads");
        let present = |entry: &&[u8; 8]| u64::from_ne_bytes(**entry) & PRESENT != 0;
        entries.as_chunks::<8>().0.iter().filter(present).count()
    }

    #[test]
    fn what_was_laid_aside_is_as_it_was_and_may_change_again() {
        let mut shelf =
            Shelf::new(tempfile::tempfile().expect("a file")).expect("a table of pages");
        let mut pages = Pages::map(5 * HUGE_PAGE_BYTES + 1).expect("maps");
        let count = pages.bytes / PAGE_BYTES;
        // Each page by a number of its own; every third is never written to.
        let mut expected: Vec<u64> = vec![0; count];
        let word =
            |pages: &Pages, at: usize| pages.as_ptr().wrapping_add(at * PAGE_BYTES).cast::<u64>();
        for round in 1..4u64 {
            for (at, number) in expected.iter_mut().enumerate() {
                if at % 3 != 0 && (round == 1 || at as u64 % 7 == round) {
                    *number = at as u64 * 10 + round;
                    // SAFETY: within the pages, and nobody else's.
                    unsafe { word(&pages, at).write(*number) };
                }
            }
            assert!(resident(&pages) > 0);
            pages.lay_aside(&mut shelf).expect("writes");
            assert_eq!((resident(&pages), shelf.bytes()), (0, pages.bytes as u64), "round {round}");
            for (at, number) in expected.iter().enumerate() {
                // SAFETY: as above; what was never written to reads as zero.
                let read = unsafe { word(&pages, at).read() };
                assert_eq!(read, *number, "page {at} in round {round}");
            }
        }
    }

    #[test]
    fn where_the_file_has_no_room_nothing_is_lost() {
        let file = File::open("/dev/full").expect("it is there");
        let mut shelf = Shelf::new(file).expect("a table of pages");
        let mut pages = Pages::map(HUGE_PAGE_BYTES).expect("maps");
        // SAFETY: within the pages, and nobody else's.
        unsafe { pages.as_ptr().write(7) };
        assert!(pages.lay_aside(&mut shelf).is_err());
        // SAFETY: as above.
        assert_eq!(unsafe { pages.as_ptr().read() }, 7);
    }
}
