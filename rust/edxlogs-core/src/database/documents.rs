//! Documents of MongoDB to a line each, whichever way `mongoexport` wrote them: as lines, as one
//! array (`--jsonArray`), or over many lines (`--pretty`).

use std::io::{self, Read};

/// Enough to hold the first line of what is written over many.
const HEAD_BYTES: usize = 4096;

/// Reads documents so that each is a line. Bytes change for others, one for one: offsets stay.
pub struct Documents<R> {
    input: R,
    head: Vec<u8>,
    taken: usize,
    form: Option<Form>,
    depth: usize,
    in_string: bool,
    is_escaped: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A line each already. One that is broken costs no other.
    Lines,
    Array,
    Pretty,
}

impl<R: Read> Documents<R> {
    /// A reader from the beginning of a file.
    pub fn new(input: R) -> Self {
        let (head, taken, depth) = (Vec::new(), 0, 0);
        Self { input, head, taken, form: None, depth, in_string: false, is_escaped: false }
    }

    fn look(&mut self) -> io::Result<Form> {
        let form = loop {
            let text = self.head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.head);
            let text = text.trim_ascii_start();
            let line = text.iter().position(|&byte| byte == b'\n').map(|end| &text[..end]);
            match (text.first(), line) {
                (Some(b'['), _) => break Form::Array,
                (Some(b'{'), Some(line)) if line.trim_ascii() == b"{" => break Form::Pretty,
                (Some(b'{'), None) if text.len() < HEAD_BYTES => {}
                (Some(_), _) => break Form::Lines,
                (None, _) => {}
            }
            let before = self.head.len();
            (&mut self.input).take(HEAD_BYTES as u64).read_to_end(&mut self.head)?;
            if self.head.len() == before {
                break Form::Lines;
            }
        };
        Ok(form)
    }

    fn change(&mut self, bytes: &mut [u8], form: Form) {
        for byte in bytes {
            if self.in_string {
                match *byte {
                    _ if self.is_escaped => self.is_escaped = false,
                    b'\\' => self.is_escaped = true,
                    b'"' => self.in_string = false,
                    b'\n' => *byte = b' ',
                    _ => {}
                }
                continue;
            }
            let is_outside = self.depth == 0;
            match *byte {
                b'"' => self.in_string = true,
                // The brackets around all documents, and what is between them.
                b'[' if is_outside => *byte = b' ',
                b']' | b',' if is_outside => *byte = b'\n',
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                b'\n' if !is_outside || form == Form::Array => *byte = b' ',
                _ => {}
            }
        }
    }
}

impl<R: Read> Read for Documents<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let form = match self.form {
            Some(form) => form,
            None => {
                let form = self.look()?;
                *self.form.insert(form)
            }
        };
        let ahead = &self.head[self.taken..];
        let count = if ahead.is_empty() {
            self.input.read(buffer)?
        } else {
            let count = ahead.len().min(buffer.len());
            buffer[..count].copy_from_slice(&ahead[..count]);
            self.taken += count;
            count
        };
        if form != Form::Lines {
            self.change(&mut buffer[..count], form);
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        let mut found = String::new();
        Documents::new(text.as_bytes()).read_to_string(&mut found).expect("UTF-8");
        assert_eq!(found.len(), text.len());
        let lines = found.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.map(str::to_owned).collect()
    }

    #[test]
    fn each_document_is_a_line() {
        let (one, two) = (r#"{"a": "[,{\"]\n", "b": [1, {}]}"#, r#"{"c": []}"#);
        for text in [
            format!("{one}\n{two}\n"),
            format!("[{one},{two}]\n"),
            format!("\n[{one},\n{two}\n]"),
            format!("[{one}]\n[{two}]"),
            format!("\u{feff}[ {one}\n,{two} ]"),
        ] {
            let lines = lines(&text);
            let lines: Vec<&str> =
                lines.iter().map(|line| line.trim_start_matches('\u{feff}').trim()).collect();
            assert_eq!(lines, [one, two], "{text}");
        }
        let pretty = "{\n  \"a\": [\n1,\n 2]\n}\n{\n\"b\": 1}\n";
        assert_eq!(lines(pretty), ["{   \"a\": [ 1,  2] }", "{ \"b\": 1}"]);
        assert_eq!(lines("[]\n"), [""; 0]);
        // A broken line costs itself alone.
        assert_eq!(lines("{\"a\": \n{}\n"), ["{\"a\":", "{}"]);
    }

    #[test]
    fn reads_of_any_size_give_the_same() {
        let document = r#"{"a": "[,{\"]\\", "b": [1, {}]}"#;
        let text = format!("\n  [{document},\n {document}\n]\n").repeat(400);
        let mut whole = Vec::new();
        Documents::new(text.as_bytes()).read_to_end(&mut whole).expect("bytes");
        assert_eq!(whole.split(|&byte| byte == b'\n').filter(|line| line.len() > 9).count(), 800);
        for size in [1, 7, HEAD_BYTES, HEAD_BYTES + 1] {
            let (mut reader, mut buffer) = (Documents::new(text.as_bytes()), vec![0; size]);
            let mut found = Vec::new();
            while let count @ 1.. = reader.read(&mut buffer).expect("bytes") {
                found.extend_from_slice(&buffer[..count]);
            }
            assert_eq!(found, whole);
        }
    }
}
