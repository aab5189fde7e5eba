//! Reads a mail far enough to show it: the headers and bodies that our own mails have (RFC 2045, 2047), and no more.

/// A mail made readable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShownMail {
    /// `Subject`, decoded.
    pub subject: String,
    /// `From`, decoded.
    pub from: String,
    /// `To`, decoded.
    pub to: String,
    /// `Date`, as written.
    pub date: String,
    /// The text part, decoded; empty if there is none.
    pub text: String,
    /// The HTML part, decoded; empty if there is none. It is somebody's HTML: show it in a sandboxed frame only.
    pub html: String,
    /// The pictures that the HTML part may show.
    pub pictures: Vec<Picture>,
}

/// A picture within a mail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picture {
    /// What the HTML calls it after `cid:`, without angle brackets.
    pub content_id: String,
    /// Such as `image/png`.
    pub content_type: String,
    /// The picture itself.
    pub bytes: Vec<u8>,
}

/// Decodes a message. Whatever cannot be decoded is shown as it stands.
pub fn show(message: &[u8]) -> ShownMail {
    let part = Part::parse(message);
    let mut shown = ShownMail {
        subject: decode_words(&part.header("subject")),
        from: decode_words(&part.header("from")),
        to: decode_words(&part.header("to")),
        date: part.header("date"),
        ..ShownMail::default()
    };
    part.collect(&mut shown, 0);
    shown
}

/// How deep multiparts may lie in one another.
const DEEPEST: u32 = 4;

struct Part<'a> {
    headers: Vec<(String, String)>,
    body: &'a [u8],
}

impl<'a> Part<'a> {
    fn parse(bytes: &'a [u8]) -> Part<'a> {
        let (head, body) = match find(bytes, b"\r\n\r\n") {
            Some(at) => (&bytes[..at], &bytes[at + 4..]),
            None => (bytes, &bytes[bytes.len()..]),
        };
        let unfolded = String::from_utf8_lossy(head).replace("\r\n ", " ").replace("\r\n\t", " ");
        let header = |line: &str| line.split_once(':').map(|(n, v)| (n.to_ascii_lowercase(), v.trim().to_owned()));
        Part { headers: unfolded.split("\r\n").filter_map(header).collect(), body }
    }

    fn header(&self, name: &str) -> String {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone()).unwrap_or_default()
    }

    fn collect(&self, shown: &mut ShownMail, depth: u32) {
        let content_type = self.header("content-type");
        let lower = content_type.to_ascii_lowercase();
        if lower.starts_with("multipart/") {
            let Some(boundary) = parameter(&content_type, "boundary").filter(|_| depth < DEEPEST) else { return };
            for inner in split_parts(self.body, &boundary) {
                Part::parse(inner).collect(shown, depth + 1);
            }
        } else if lower.starts_with("image/") {
            let content_id = self.header("content-id").trim_matches(['<', '>']).to_owned();
            let content_type = lower.split(';').next().unwrap_or_default().trim().to_owned();
            shown.pictures.push(Picture { content_id, content_type, bytes: self.bytes() });
        } else if lower.starts_with("text/html") {
            shown.html = self.decoded();
        } else if lower.is_empty() || lower.starts_with("text/plain") {
            shown.text = self.decoded();
        }
    }

    fn decoded(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).replace("\r\n", "\n")
    }

    fn bytes(&self) -> Vec<u8> {
        match self.header("content-transfer-encoding").to_ascii_lowercase().as_str() {
            "quoted-printable" => decode_quoted_printable(self.body, false),
            "base64" => decode_base64(self.body),
            _ => self.body.to_vec(),
        }
    }
}

fn parameter(header: &str, name: &str) -> Option<String> {
    let value = header.split(';').skip(1).find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })?;
    Some(value.trim_matches('"').to_owned())
}

fn split_parts<'a>(body: &'a [u8], boundary: &str) -> Vec<&'a [u8]> {
    let marker = format!("--{boundary}").into_bytes();
    let mut parts = Vec::new();
    let mut rest = body;
    while let Some(start) = find(rest, &marker) {
        let inside = &rest[start + marker.len()..];
        if inside.starts_with(b"--") {
            break;
        }
        let inside = inside.strip_prefix(b"\r\n").unwrap_or(inside);
        let Some(end) = find(inside, &marker) else { break };
        parts.push(inside[..end].strip_suffix(b"\r\n").unwrap_or(&inside[..end]));
        rest = &inside[end..];
    }
    parts
}

/// Decodes the encoded words of a header's value (RFC 2047).
fn decode_words(value: &str) -> String {
    let mut decoded = String::new();
    let mut rest = value;
    let mut after_word = false;
    while let Some(start) = rest.find("=?") {
        let (before, word) = rest.split_at(start);
        // White space between two encoded words is not part of the text.
        if !(after_word && before.trim().is_empty()) {
            decoded.push_str(before);
        }
        match decode_word(word) {
            Some((text, length)) => {
                decoded.push_str(&text);
                rest = &word[length..];
                after_word = true;
            }
            None => {
                decoded.push_str("=?");
                rest = &word[2..];
                after_word = false;
            }
        }
    }
    decoded.push_str(rest);
    decoded
}

fn decode_word(word: &str) -> Option<(String, usize)> {
    let inside = word.strip_prefix("=?")?;
    let mut fields = inside.splitn(3, '?');
    let (charset, encoding, rest) = (fields.next()?, fields.next()?, fields.next()?);
    let end = rest.find("?=")?;
    let text = &rest.as_bytes()[..end];
    let bytes = match encoding {
        "b" | "B" => decode_base64(text),
        "q" | "Q" => decode_quoted_printable(text, true),
        _ => return None,
    };
    charset.eq_ignore_ascii_case("utf-8").then_some(())?;
    let length = 2 + charset.len() + 1 + encoding.len() + 1 + end + 2;
    Some((String::from_utf8_lossy(&bytes).into_owned(), length))
}

fn decode_quoted_printable(bytes: &[u8], underscore_is_space: bool) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        let escape = after.get(..2).filter(|_| *first == b'=');
        if let Some(escape) = escape {
            if escape == b"\r\n" {
                rest = &after[2..];
                continue;
            }
            let digits = std::str::from_utf8(escape).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok());
            if let Some(byte) = digits {
                decoded.push(byte);
                rest = &after[2..];
                continue;
            }
        }
        decoded.push(if underscore_is_space && *first == b'_' { b' ' } else { *first });
        rest = after;
    }
    decoded
}

/// Decodes base64, passing over what is not part of it.
pub(super) fn decode_base64(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => continue,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            decoded.push((bits >> count & 0xff) as u8);
        }
    }
    decoded
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_decodes() {
        for (text, bytes) in
            [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9v\r\nYmFy", "foobar"), ("w6k", "é")]
        {
            assert_eq!(decode_base64(text.as_bytes()), bytes.as_bytes(), "{text}");
        }
    }

    #[test]
    fn headers_decode() {
        for (value, text) in [
            ("plain", "plain"),
            ("=?utf-8?b?w6k=?=", "é"),
            ("a =?utf-8?q?b=C3=A9_c?= d", "a bé c d"),
            ("=?utf-8?b?w6k=?= =?UTF-8?B?w6k=?=", "éé"),
            ("=?latin1?q?x?= stays", "=?latin1?q?x?= stays"),
            ("=? broken", "=? broken"),
            ("=?utf-8?b?w6k", "=?utf-8?b?w6k"),
        ] {
            assert_eq!(decode_words(value), text, "{value}");
        }
    }

    #[test]
    fn quoted_printable_decodes() {
        for (text, bytes) in [("a=3Db", "a=b"), ("soft=\r\nbreak", "softbreak"), ("=C3=A9", "é"), ("=ZZ=", "=ZZ=")] {
            assert_eq!(decode_quoted_printable(text.as_bytes(), false), bytes.as_bytes(), "{text}");
        }
    }

    #[test]
    fn a_picture_beside_the_html_is_found() {
        let mail = b"Content-Type: multipart/alternative; boundary=a\r\n\r\n--a\r\nContent-Type: text/plain\r\n\r\nwords\r\n--a\r\n\
            Content-Type: multipart/related; boundary=\"b\"; type=\"text/html\"\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n\
            <img src=\"cid:x@y\">\r\n--b\r\nContent-Type: image/png\r\nContent-ID: <x@y>\r\n\
            Content-Transfer-Encoding: base64\r\n\r\nZm9v\r\nYmFy\r\n--b--\r\n\r\n--a--\r\n";
        let shown = show(mail);
        assert_eq!((shown.text.as_str(), shown.html.as_str()), ("words", "<img src=\"cid:x@y\">"));
        let picture = Picture { content_id: "x@y".into(), content_type: "image/png".into(), bytes: b"foobar".to_vec() };
        assert_eq!(shown.pictures, [picture]);
    }

    #[test]
    fn a_mail_without_parts_shows_its_text() {
        let shown = show(b"Subject: Hi\r\n there\r\nTo: a@b\r\n\r\nline\r\n");
        assert_eq!((shown.subject.as_str(), shown.text.as_str(), shown.html.as_str()), ("Hi there", "line\n", ""));
        assert_eq!(show(b""), ShownMail::default());
    }
}
