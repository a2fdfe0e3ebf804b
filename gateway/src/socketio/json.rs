//! An iterative scanner of JSON (RFC 8259): checks all of the grammar and measures, without recursion or decoding.

mod placeholders;

pub(super) use placeholders::Placeholders;

/// Text that is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InvalidJson;

/// What was measured of a valid value.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Measure {
    /// Deepest nesting of arrays and objects; 0 for a scalar.
    pub(super) depth: usize,
    /// Whether a string holds an escaped surrogate without its other half.
    pub(super) lone_surrogate: bool,
}

/// Told what the scanner comes across, for those who look for something in particular.
pub(super) trait Visitor {
    /// An object begins, as the `depth`th container around.
    fn begin_object(&mut self, depth: usize) {
        let _ = depth;
    }
    /// A member: its key and its scalar value, both raw (`None`: the value is a container).
    fn member(&mut self, depth: usize, key: &str, value: Option<&str>) {
        let _ = (depth, key, value);
    }
    /// The object ends.
    fn end_object(&mut self, depth: usize) {
        let _ = depth;
    }
}

impl Visitor for () {}

/// Checks that `text` is one value, with white space around it at most.
pub(super) fn scan(text: &str, visitor: &mut impl Visitor) -> Result<Measure, InvalidJson> {
    let mut scanner = Scanner { text, position: 0, measure: Measure::default(), stack: Stack::default() };
    scanner.value(visitor)?;
    scanner.skip_space();
    if scanner.position == text.len() { Ok(scanner.measure) } else { Err(InvalidJson) }
}

/// The raw value at the start of valid JSON `text`, and what follows it. White space around it is left out.
pub(super) fn split_value(text: &str) -> Option<(&str, &str)> {
    let mut scanner = Scanner { text, position: 0, measure: Measure::default(), stack: Stack::default() };
    scanner.skip_space();
    let start = scanner.position;
    scanner.value(&mut ()).ok()?;
    let value = &text[start..scanner.position];
    scanner.skip_space();
    Some((value, &text[scanner.position..]))
}

struct Scanner<'a> {
    text: &'a str,
    position: usize,
    measure: Measure,
    stack: Stack,
}

/// The containers around a place, one bit each: whether it is an object.
#[derive(Default)]
struct Stack {
    depth: usize,
    /// The 64 outermost ones.
    outer: u64,
    inner: Vec<u64>,
}

impl Stack {
    fn push(&mut self, is_object: bool) {
        let (word, bit) = (self.depth / 64, self.depth % 64);
        if word > self.inner.len() {
            self.inner.push(0);
        }
        let word = if word == 0 { &mut self.outer } else { &mut self.inner[word - 1] };
        *word = *word & !(1 << bit) | u64::from(is_object) << bit;
        self.depth += 1;
    }

    fn pop(&mut self) {
        self.depth -= 1;
    }

    fn in_object(&self) -> bool {
        let Some(top) = self.depth.checked_sub(1) else { return false };
        let word = if top < 64 { self.outer } else { self.inner[top / 64 - 1] };
        word >> (top % 64) & 1 == 1
    }
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.position).copied()
    }

    fn next(&mut self) -> Result<u8, InvalidJson> {
        let byte = self.peek().ok_or(InvalidJson)?;
        self.position += 1;
        Ok(byte)
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.position += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), InvalidJson> {
        if self.next()? == byte { Ok(()) } else { Err(InvalidJson) }
    }

    /// One value, containers and all, without recursion.
    fn value(&mut self, visitor: &mut impl Visitor) -> Result<(), InvalidJson> {
        let mut expects_element = self.element(visitor)?;
        loop {
            if expects_element {
                expects_element = if self.stack.in_object() { self.member(visitor)? } else { self.element(visitor)? };
                continue;
            }
            // A value is complete; so may be the containers around it.
            if self.stack.depth == 0 {
                return Ok(());
            }
            self.skip_space();
            match (self.next()?, self.stack.in_object()) {
                (b',', _) => expects_element = true,
                (b'}', true) => {
                    visitor.end_object(self.stack.depth);
                    self.stack.pop();
                }
                (b']', false) => self.stack.pop(),
                _ => return Err(InvalidJson),
            }
        }
    }

    /// The next scalar, or the start of a container; true if an element of the container has to follow.
    fn element(&mut self, visitor: &mut impl Visitor) -> Result<bool, InvalidJson> {
        self.skip_space();
        let is_object = match self.peek().ok_or(InvalidJson)? {
            b'{' => true,
            b'[' => false,
            _ => return self.scalar().map(|_| false),
        };
        self.position += 1;
        self.stack.push(is_object);
        self.measure.depth = self.measure.depth.max(self.stack.depth);
        if is_object {
            visitor.begin_object(self.stack.depth);
        }
        self.skip_space();
        // The end of an empty container is left to the caller's loop.
        Ok(self.peek() != Some(if is_object { b'}' } else { b']' }))
    }

    /// A member of an object; true as for [`element`](Self::element).
    fn member(&mut self, visitor: &mut impl Visitor) -> Result<bool, InvalidJson> {
        self.skip_space();
        let key = self.string()?;
        self.skip_space();
        self.expect(b':')?;
        self.skip_space();
        if matches!(self.peek(), Some(b'{' | b'[')) {
            visitor.member(self.stack.depth, key, None);
            return self.element(visitor);
        }
        let value = self.scalar()?;
        visitor.member(self.stack.depth, key, Some(value));
        Ok(false)
    }

    fn scalar(&mut self) -> Result<&'a str, InvalidJson> {
        let start = self.position;
        match self.peek().ok_or(InvalidJson)? {
            b'"' => return self.string(),
            b't' => self.literal("true")?,
            b'f' => self.literal("false")?,
            b'n' => self.literal("null")?,
            _ => self.number()?,
        }
        Ok(&self.text[start..self.position])
    }

    fn literal(&mut self, literal: &str) -> Result<(), InvalidJson> {
        if !self.text[self.position..].starts_with(literal) {
            return Err(InvalidJson);
        }
        self.position += literal.len();
        Ok(())
    }

    fn number(&mut self) -> Result<(), InvalidJson> {
        if self.peek() == Some(b'-') {
            self.position += 1;
        }
        match self.next()? {
            b'0' => {}
            b'1'..=b'9' => self.skip_digits(),
            _ => return Err(InvalidJson),
        }
        if self.peek() == Some(b'.') {
            self.position += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.position += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.position += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), InvalidJson> {
        if !self.next()?.is_ascii_digit() {
            return Err(InvalidJson);
        }
        self.skip_digits();
        Ok(())
    }

    fn skip_digits(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.position += 1;
        }
    }

    /// A string with its quotes.
    fn string(&mut self) -> Result<&'a str, InvalidJson> {
        let start = self.position;
        self.expect(b'"')?;
        loop {
            match self.next()? {
                b'"' => return Ok(&self.text[start..self.position]),
                b'\\' => self.escape()?,
                0..0x20 => return Err(InvalidJson),
                _ => {}
            }
        }
    }

    fn escape(&mut self) -> Result<(), InvalidJson> {
        match self.next()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => {
                let unit = self.hex()?;
                match unit {
                    0xd800..0xdc00 => self.low_surrogate(),
                    0xdc00..0xe000 => self.measure.lone_surrogate = true,
                    _ => {}
                }
                Ok(())
            }
            _ => Err(InvalidJson),
        }
    }

    /// Takes the other half of a pair if it follows.
    fn low_surrogate(&mut self) {
        let after = self.position;
        let follows = self.text[after..].starts_with("\\u");
        if follows {
            self.position += 2;
            if self.hex().is_ok_and(|unit| (0xdc00..0xe000).contains(&unit)) {
                return;
            }
        }
        self.position = after;
        self.measure.lone_surrogate = true;
    }

    fn hex(&mut self) -> Result<u32, InvalidJson> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = char::from(self.next()?).to_digit(16).ok_or(InvalidJson)?;
            unit = unit * 16 + digit;
        }
        Ok(unit)
    }
}

#[cfg(test)]
mod tests;
