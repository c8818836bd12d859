//! A profile as text that viewers read, within bounds on its size.

use std::io::{self, Write};

use serde_json::json;

use super::{Entry, Format, Profile, Track};

/// Folded stacks name each stack in full, so deep ones are long: more than this is of no use to a
/// viewer, and the least stacks are told with their callers.
const MOST_FOLDED_BYTES: u64 = 64 << 20;

impl Profile {
    /// Writes the profile in a form that viewers read, and gives what a reader should know of it:
    /// which bounds were reached, and what they left out.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write(&self, format: Format, out: &mut dyn Write) -> io::Result<Vec<String>> {
        match format {
            Format::Folded => self.write_folded(out, MOST_FOLDED_BYTES),
            Format::Chrome => self.write_chrome(out),
        }
    }

    fn cut_note(&self) -> Option<String> {
        let bounds = super::record::BOUNDS;
        self.cut.then(|| {
            format!(
                "the call tree reached its bound of {} frames or {} nodes; what was called beyond counts as part of its callers",
                bounds.depth, bounds.nodes
            )
        })
    }

    pub(super) fn write_folded(
        &self,
        out: &mut dyn Write,
        most_bytes: u64,
    ) -> io::Result<Vec<String>> {
        let labels: Vec<String> = self.entries.iter().map(folded_label).collect();
        // Callers come before what they call.
        let mut totals: Vec<u64> = self.nodes.iter().map(|node| node.own_ns).collect();
        let mut lengths = vec![0u64; self.nodes.len()];
        for (at, node) in self.nodes.iter().enumerate() {
            let above = if at == 0 { 0 } else { lengths[node.parent as usize] };
            lengths[at] = above + labels[node.function as usize].len() as u64 + 1;
        }
        for (at, node) in self.nodes.iter().enumerate().skip(1).rev() {
            totals[node.parent as usize] += totals[at];
        }
        let size = |least_ns: u64| -> u64 {
            let told = totals.iter().zip(&lengths).filter(|(total, _)| **total >= least_ns);
            told.map(|(_, length)| length + 12).sum()
        };
        let mut least_ns = 1;
        while size(least_ns) > most_bytes {
            least_ns *= 2;
        }
        // What is too little goes to the nearest caller that is told of.
        let mut own: Vec<u64> = self.nodes.iter().map(|node| node.own_ns).collect();
        for (at, node) in self.nodes.iter().enumerate().skip(1).rev() {
            if totals[at] < least_ns {
                own[node.parent as usize] += std::mem::take(&mut own[at]);
            }
        }
        let mut stack = Vec::new();
        for (at, own_ns) in own.iter().enumerate().filter(|(_, own_ns)| **own_ns > 0) {
            stack.clear();
            let mut node = at;
            while node != 0 {
                stack.push(node);
                node = self.nodes[node].parent as usize;
            }
            stack.push(0);
            for (index, node) in stack.iter().rev().enumerate() {
                let joint = if index == 0 { "" } else { ";" };
                write!(out, "{joint}{}", labels[self.nodes[*node].function as usize])?;
            }
            writeln!(out, " {own_ns}")?;
        }
        let small = (least_ns > 1).then(|| {
            format!(
                "stacks of less than {} µs count as part of their callers, to keep the file below {} MiB",
                (least_ns as f64 / 1e3).max(0.001),
                most_bytes >> 20
            )
        });
        Ok(self.cut_note().into_iter().chain(small).collect())
    }

    fn write_chrome(&self, out: &mut dyn Write) -> io::Result<Vec<String>> {
        let process = json!({ "name": "process_name", "ph": "M", "pid": 1, "tid": 1, "args": { "name": "evaluation" } });
        write!(out, "{{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n{process}")?;
        let notes = self.write_calls(Track { process: 1, thread: 1, start_ns: 0 }, out)?;
        writeln!(out, "\n]}}")?;
        Ok(notes)
    }

    /// Writes the calls as events of a trace of Chrome's that others write as well, each after a
    /// comma, and gives what a reader should know.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_calls(&self, track: Track, out: &mut dyn Write) -> io::Result<Vec<String>> {
        let Track { process, thread, start_ns } = track;
        let names: Vec<String> = self.entries.iter().map(|e| json!(e.name).to_string()).collect();
        let places: Vec<String> = self
            .entries
            .iter()
            .map(|entry| entry.place.as_ref().map_or(String::new(), |_| place(entry)))
            .map(|place| json!({ "place": place }).to_string())
            .collect();
        let mut order: Vec<usize> = (0..self.spans.len()).collect();
        order.sort_by_key(|&at| {
            let span = &self.spans[at];
            (span.start_ns, span.depth)
        });
        for at in order {
            let span = &self.spans[at];
            let start_us = (start_ns + span.start_ns) as f64 / 1e3;
            let wall_us = span.wall_ns as f64 / 1e3;
            let function = span.function as usize;
            write!(
                out,
                ",\n{{\"name\":{},\"ph\":\"X\",\"ts\":{start_us:.3},\"dur\":{wall_us:.3},\"pid\":{process},\"tid\":{thread},\"args\":{}}}",
                names[function], places[function]
            )?;
        }
        let few = (self.shortest_ns > 0).then(|| {
            format!(
                "the trace holds the longest {} of {} calls; none shorter than {} µs",
                self.spans.len(),
                self.spans_seen,
                self.shortest_ns as f64 / 1e3
            )
        });
        Ok(few.into_iter().collect())
    }
}

fn place(entry: &Entry) -> String {
    match &entry.place {
        Some(pos) => format!("{}:{}:{}", pos.file.display(), pos.line, pos.column),
        None => String::new(),
    }
}

/// A frame's name: the format parts frames by semicolons and lines by newlines.
fn folded_label(entry: &Entry) -> String {
    let label = match &entry.place {
        Some(_) => format!("{} {}", entry.name, place(entry)),
        None => entry.name.clone(),
    };
    label.replace(';', ",").replace(['\n', '\r'], " ")
}
