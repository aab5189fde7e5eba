//! Finds the names of filters and tests in an expression. The engine looks these up only when it runs; a mapping is to
//! be refused when it is loaded.

/// A name and how it is used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Use<'a> {
    /// After `|`.
    Filter(&'a str),
    /// After `is` or `is not`.
    Test(&'a str),
}

/// The filters and tests that a text names outside its quoted parts.
pub(super) fn names_used(text: &str) -> Vec<Use<'_>> {
    let mut found = Vec::new();
    let mut previous = Token::Other;
    for token in tokens(text) {
        if let Token::Word(word) = token {
            match previous {
                Token::Bar => found.push(Use::Filter(word)),
                Token::Is if word == "not" => continue,
                Token::Is => found.push(Use::Test(word)),
                _ => {}
            }
        }
        previous = match token {
            Token::Word("is") if previous != Token::Dot => Token::Is,
            token => token,
        };
    }
    found
}

#[derive(Clone, Copy, PartialEq)]
enum Token<'a> {
    Word(&'a str),
    Bar,
    Dot,
    Is,
    Other,
}

fn tokens(text: &str) -> impl Iterator<Item = Token<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let first = rest.chars().next()?;
        let length = match first {
            '"' | '\'' => quoted_length(rest, first),
            _ if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let (token, tail) = rest.split_at(length);
        rest = tail;
        Some(match first {
            '|' => Token::Bar,
            '.' => Token::Dot,
            _ if is_word(first) && !first.is_ascii_digit() => Token::Word(token),
            _ => Token::Other,
        })
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length in bytes of a quoted text with its quotes; a backslash hides the character after it.
fn quoted_length(text: &str, quote: char) -> usize {
    let mut hidden = false;
    for (at, c) in text.char_indices().skip(1) {
        if c == quote && !hidden {
            return at + c.len_utf8();
        }
        hidden = c == '\\' && !hidden;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_and_tests_are_found_outside_quotes_only() {
        for (text, expected) in [
            ("item.id", vec![]),
            ("item.at|epoch_ms", vec![Use::Filter("epoch_ms")]),
            ("item.at | not_zero | epoch_ms", vec![Use::Filter("not_zero"), Use::Filter("epoch_ms")]),
            ("a is string or b is not none", vec![Use::Test("string"), Use::Test("none")]),
            ("item.is", vec![]),
            ("'a | b is c'", vec![]),
            (r"'it\'s | x' | lower", vec![Use::Filter("lower")]),
            ("\"open | end", vec![]),
            ("item.é | lower", vec![Use::Filter("lower")]),
        ] {
            assert_eq!(names_used(text), expected, "{text}");
        }
    }
}
