//! Checks an expression's text before croner sees it: croner accepts a dozen forms that mean
//! something else than they say, or nothing at all.

use super::{CronExpression, CronField, Fault, Problem};

/// Text that passed.
#[derive(Debug)]
pub(super) struct Checked {
    /// The canonical text.
    pub(super) text: String,
    /// The five fields of it, nicknames spelled out.
    pub(super) fields: [String; 5],
}

/// Checks `text` and brings it into its canonical form.
pub(super) fn check(text: &str) -> Result<Checked, Fault> {
    if text.len() > CronExpression::MAX_LENGTH {
        return Err(Fault::Length);
    }
    if let Some(blank) = text.chars().find(|c| !c.is_ascii() && c.is_whitespace()) {
        return Err(Fault::Blank(blank));
    }
    let parts: Vec<&str> = text.split_ascii_whitespace().collect();
    if let [nickname] = parts.as_slice()
        && nickname.starts_with('@')
    {
        return expand(&nickname.to_ascii_lowercase());
    }
    let parts: [&str; 5] = parts.try_into().map_err(|parts: Vec<&str>| Fault::Count(parts.len()))?;
    let mut fields: [String; 5] = Default::default();
    for ((field, part), canonical) in CronField::ALL.into_iter().zip(parts).zip(&mut fields) {
        *canonical = check_field(field, part)?;
    }
    Ok(Checked { text: fields.join(" "), fields })
}

/// Spells a nickname out.
fn expand(nickname: &str) -> Result<Checked, Fault> {
    let fields = match nickname {
        "@hourly" => ["0", "*", "*", "*", "*"],
        "@daily" | "@midnight" => ["0", "0", "*", "*", "*"],
        "@weekly" => ["0", "0", "*", "*", "0"],
        "@monthly" => ["0", "0", "1", "*", "*"],
        "@yearly" | "@annually" => ["0", "0", "1", "1", "*"],
        "@reboot" => return Err(Fault::Reboot),
        _ => return Err(Fault::Nickname),
    };
    Ok(Checked { text: nickname.to_owned(), fields: fields.map(str::to_owned) })
}

fn check_field(field: CronField, text: &str) -> Result<String, Fault> {
    if text == "*" {
        return Ok("*".to_owned());
    }
    let fault = |item: &str, problem| Fault::Field { field, item: item.to_owned(), problem };
    let mut items = Vec::new();
    for item in text.split(',') {
        let item = item.to_ascii_uppercase();
        match item.as_str() {
            "" => return Err(fault(text, Problem::EmptyItem)),
            "*" => return Err(fault(text, Problem::StarInList)),
            _ => items.push(check_item(field, &item).map_err(|problem| fault(&item, problem))?),
        }
    }
    Ok(items.join(","))
}

/// Checks `a`, `a-b`, `a-b/n` or `*/n`.
fn check_item(field: CronField, item: &str) -> Result<String, Problem> {
    let (range, step) = item.split_once('/').map_or((item, None), |(range, step)| (range, Some(step)));
    let step = step.map(|step| number(field, step)).transpose()?;
    if range == "*" {
        check_step(field, step, &field.bounds().0.to_string())?;
        return Ok(join("*".to_owned(), step));
    }
    let Some((first, last)) = range.split_once('-') else {
        let value = Value::parse(field, range)?;
        return match step {
            None => Ok(value.text),
            Some(step) => {
                let last = if field == CronField::DayOfWeek { 6 } else { field.bounds().1 };
                Err(Problem::StepWithoutRange { mend: format!("{}-{last}/{step}", value.text) })
            }
        };
    };
    let (first, last) = (Value::parse(field, first)?, Value::parse(field, last)?);
    if first.number > last.number {
        return Err(Problem::Reversed { mend: unreversed(field, &first, &last) });
    }
    check_step(field, step, &first.text)?;
    Ok(join(format!("{}-{}", first.text, last.text), step))
}

fn join(range: String, step: Option<u16>) -> String {
    match step {
        None => range,
        Some(step) => format!("{range}/{step}"),
    }
}

fn check_step(field: CronField, step: Option<u16>, only: &str) -> Result<(), Problem> {
    match step {
        Some(0) => Err(Problem::StepZero),
        Some(step) if step >= u16::from(field.size()) => Err(Problem::StepTooLarge { mend: only.to_owned() }),
        _ => Ok(()),
    }
}

/// The same range as one or two that go upwards: `22-2` is `22-23,0-2`.
fn unreversed(field: CronField, first: &Value, last: &Value) -> String {
    let (min, max) = match field {
        CronField::DayOfWeek => (0, 6),
        CronField::Minute | CronField::Hour | CronField::DayOfMonth | CronField::Month => field.bounds(),
    };
    let named = first.text.starts_with(|c: char| c.is_ascii_alphabetic());
    let write = |number: u8| match field.names().get(usize::from(number - min)) {
        Some(name) if named => (*name).to_owned(),
        _ => number.to_string(),
    };
    let range =
        |from: u8, to: u8| if from == to { write(from) } else { format!("{}-{}", write(from), write(to)) };
    if first.number > max {
        return range(min, last.number); // the Sunday that is written 7
    }
    format!("{},{}", range(first.number, max), range(min, last.number))
}

/// A number or a name of a field.
#[derive(Debug)]
struct Value {
    number: u8,
    text: String,
}

impl Value {
    fn parse(field: CronField, text: &str) -> Result<Self, Problem> {
        let (min, max) = field.bounds();
        if let Some(number) = (min..).zip(field.names()).find(|(_, name)| **name == text).map(|(n, _)| n) {
            return Ok(Self { number, text: text.to_owned() });
        }
        let number = number(field, text)?;
        match u8::try_from(number) {
            Ok(number) if (min..=max).contains(&number) => Ok(Self { number, text: number.to_string() }),
            _ => Err(Problem::OutOfBounds),
        }
    }
}

/// Reads digits; says what else it may have been.
fn number(field: CronField, text: &str) -> Result<u16, Problem> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().map_err(|_| Problem::OutOfBounds);
    }
    if let Some(other) = CronField::ALL.into_iter().find(|other| other.names().contains(&text)) {
        return Err(if other == field { Problem::NotANumber } else { Problem::NameOf(other) });
    }
    match special(text) {
        Some((character, mend)) => Err(Problem::Special { character, mend }),
        None => Err(Problem::NotANumber),
    }
}

/// Signs that other dialects of cron know.
fn special(text: &str) -> Option<(char, &'static str)> {
    const SIGNS: [(char, &str); 5] = [
        ('?', "write `*`"),
        ('#', "name plain weekdays, such as `MON`"),
        ('+', "give day of month or day of week, and `*` for the other"),
        ('L', "name a day that every month has, such as `28`"),
        ('W', "name a plain day of the month, such as `15`, or the weekdays `1-5`"),
    ];
    let known = |c: char| c.is_ascii_digit() || "?#+LW*".contains(c);
    if !text.chars().all(known) && !text.contains(['?', '#', '+']) {
        return None;
    }
    SIGNS.into_iter().find(|(sign, _)| text.contains(*sign))
}
