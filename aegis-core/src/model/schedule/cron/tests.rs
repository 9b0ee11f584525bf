//! The lines of acceptance and refusal, each by its words.

use super::*;
use crate::model::SlotKind;

fn canonical(text: &str) -> String {
    CronExpression::new(text).unwrap_or_else(|error| panic!("{error}")).as_str().to_owned()
}

fn refusal(text: &str) -> String {
    CronExpression::new(text).expect_err(text).to_string()
}

#[test]
fn exactly_five_fields_are_accepted_and_other_counts_refused() {
    assert_eq!(canonical("0 2 * * *"), "0 2 * * *");
    for (text, found) in [("", 0), ("0 2 * *", 4), ("0 0 2 * * *", 6), ("0 0 2 * * * 2027", 7)] {
        let error = refusal(text);
        assert!(error.contains(&format!("it has {found} fields: write exactly five")), "{error}");
    }
    assert!(refusal("0 0 2 * * *").ends_with("and leave out seconds and year"));
}

#[test]
fn lists_ranges_and_steps_on_star_or_on_a_range_are_accepted() {
    for text in
        ["*/15 * * * *", "0 8-18/2 * * *", "0,30 1,13 1-7,15 1-12 *", "5-59/15 */6 * * 0-7", "0 2 * * 5-7"]
    {
        assert_eq!(canonical(text), text);
    }
}

#[test]
fn names_in_any_case_are_accepted_in_their_own_field() {
    assert_eq!(canonical("0 2 * jan,Jul mon-FRI"), "0 2 * JAN,JUL MON-FRI");
    let fields = *CronExpression::new("0 2 * JAN,JUL SUN,SAT").unwrap().fields();
    assert_eq!((fields.months, fields.weekdays), (1 << 1 | 1 << 7, 0b100_0001));
}

#[test]
fn nicknames_in_any_case_are_accepted() {
    for (nickname, fields) in [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
    ] {
        let shouted = CronExpression::new(&nickname.to_uppercase()).unwrap();
        assert_eq!(shouted.as_str(), nickname);
        assert_eq!(shouted.fields(), CronExpression::new(fields).unwrap().fields(), "{nickname}");
    }
}

#[test]
fn blanks_around_are_trimmed() {
    assert_eq!(canonical(" \t0  2 *\t* *\n"), "0 2 * * *");
    assert_eq!(canonical("  @Daily "), "@daily");
}

#[test]
fn a_step_without_range_is_refused() {
    assert!(
        refusal("5/15 * * * *")
            .ends_with("in the minute field, `5/15` steps without a range: write `5-59/15`")
    );
    assert!(refusal("0 2 * * MON/2").ends_with("write `MON-6/2`"));
}

#[test]
fn a_step_as_large_as_its_field_or_larger_is_refused() {
    for (text, mend) in [
        ("*/60 * * * *", "`0`"),
        ("*/99 * * * *", "`0`"),
        ("0 */24 * * *", "`0`"),
        ("0 0 */31 * *", "`1`"),
        ("0 0 1 */12 *", "`1`"),
        ("0 0 * * */7", "`0`"),
        ("5-50/60 * * * *", "`5`"),
    ] {
        let error = refusal(text);
        assert!(error.contains("steps over the whole field"), "{error}");
        assert!(error.ends_with(&format!("write {mend}")), "{error}");
    }
    assert!(refusal("*/0 * * * *").ends_with("use a step of at least 1"));
    for text in ["*/59 * * * *", "0 */23 * * *", "0 0 */30 * *", "0 0 1 */11 *", "0 0 * * */6"] {
        assert_eq!(canonical(text), text);
    }
}

#[test]
fn reversed_ranges_are_refused() {
    for (text, mend) in [
        ("0 22-2 * * *", "22-23,0-2"),
        ("0 0 * * SAT-SUN", "SAT,SUN"),
        ("0 0 * * FRI-MON", "FRI-SAT,SUN-MON"),
        ("0 0 * * 5-1", "5-6,0-1"),
        ("0 0 * * 7-1", "0-1"),
        ("0 0 1 NOV-FEB *", "NOV-DEC,JAN-FEB"),
        ("0 0 20-10/2 * *", "20-31,1-10"),
    ] {
        let error = refusal(text);
        assert!(error.ends_with(&format!("is a reversed range: write `{mend}`")), "{error}");
        let mended = text.split(' ').map(|part| if part.contains('-') { mend } else { part });
        canonical(&mended.collect::<Vec<_>>().join(" "));
    }
}

#[test]
fn empty_list_items_are_refused() {
    for text in ["1,,2 * * * *", ",1 * * * *", "1, * * * *", "0 2 , * *"] {
        assert!(refusal(text).contains("empty list item"), "{text}");
    }
    assert!(refusal("0 2 *,5 * *").ends_with("write `*` alone"));
}

#[test]
fn question_mark_l_w_hash_and_plus_are_refused() {
    for (text, sign) in [
        ("0 2 ? * *", '?'),
        ("0 2 L * *", 'L'),
        ("0 2 l * *", 'L'),
        ("0 2 LW * *", 'L'),
        ("0 2 15W * *", 'W'),
        ("0 2 * * 5L", 'L'),
        ("0 2 * * MON#2", '#'),
        ("0 2 1 * +FRI", '+'),
    ] {
        let error = refusal(text);
        assert!(error.contains(&format!("uses `{sign}`, which has no meaning here: ")), "{error}");
    }
}

#[test]
fn at_reboot_is_refused() {
    assert!(refusal("@reboot").contains("run the policy by hand after a restart"));
    assert!(refusal("@fortnightly").contains("no such nickname: use @hourly"));
    assert!(refusal("@daily 2 * * *").contains("not a minute"));
}

#[test]
fn a_name_in_another_field_is_refused() {
    assert!(refusal("0 2 * * JAN").ends_with("`JAN` is the name of a month: write it in that field"));
    assert!(refusal("0 2 * MON *").ends_with("`MON` is the name of a weekday: write it in that field"));
    assert!(refusal("0 2 * * MONDAY").ends_with("`MONDAY` is not a weekday: use 0 to 7 or SUN to SAT"));
    assert!(refusal("0 2 * * */MON").contains("is not a weekday"));
}

#[test]
fn non_ascii_blanks_are_refused() {
    for text in ["0 2\u{a0}* * *", "\u{3000}0 2 * * *", "0 2 * * *\u{2003}"] {
        assert!(refusal(text).ends_with("use plain spaces"), "{text}");
    }
}

#[test]
fn numbers_out_of_bounds_are_refused() {
    for (text, field) in [
        ("60 * * * *", CronField::Minute),
        ("0 24 * * *", CronField::Hour),
        ("0 0 0 * *", CronField::DayOfMonth),
        ("0 0 32 * *", CronField::DayOfMonth),
        ("0 0 1 13 *", CronField::Month),
        ("0 0 * * 8", CronField::DayOfWeek),
        ("99999 * * * *", CronField::Minute),
    ] {
        let error = CronExpression::new(text).unwrap_err();
        assert_eq!(error.field(), Some(field), "{error}");
        assert!(error.to_string().contains("is out of bounds: use "), "{error}");
    }
    for text in ["-5 * * * *", "1-2-3 * * * *", "0x5 * * * *", "1/2/3 * * * *", "٣ * * * *", "0 2 * * *;"] {
        refusal(text);
    }
}

#[test]
fn patterns_that_never_fire_such_as_30_february_are_refused() {
    for text in ["0 0 30 2 *", "0 0 31 FEB,APR,JUN,SEP,NOV *", "0 0 30-31 2 *"] {
        assert!(refusal(text).contains("it never fires"), "{text}");
    }
    for text in ["0 0 29 2 *", "0 0 31 1-2 *", "0 0 30 2 MON"] {
        canonical(text);
    }
}

#[test]
fn expressions_are_bounded() {
    assert!(refusal(&"1,".repeat(400)).contains("use at most 512 bytes"));
}

#[test]
fn expressions_are_validated_when_read_back() {
    assert!(serde_json::from_str::<CronExpression>("\"*/60 * * * *\"").is_err());
    let read: CronExpression = serde_json::from_str("\" @DAILY\"").unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), "\"@daily\"");
}

#[test]
fn sunday_is_0_and_7() {
    for text in ["0 0 * * 0", "0 0 * * 7", "0 0 * * SUN"] {
        assert_eq!(CronExpression::new(text).unwrap().fields().weekdays, 1, "{text}");
    }
    assert_eq!(CronExpression::new("0 0 * * 5-7").unwrap().fields().weekdays, 0b110_0001);
    assert_eq!(CronExpression::new("0 0 * * 0-7").unwrap().fields().weekdays, 0b111_1111);
}

#[test]
fn interval_slots_have_a_star_or_a_stepped_star_for_hour_or_name_all_24_hours() {
    let kind = |text: &str| CronExpression::new(text).unwrap().fields().kind();
    for text in ["0 * * * *", "30 */2 * * *", "0 */1 * * *", "0 0-23 * * *", "0 0-11,12-23 * * *", "@hourly"]
    {
        assert_eq!(kind(text), SlotKind::Interval, "{text}");
    }
    for text in
        ["0 8-18/2 * * *", "*/15 1 * * *", "0 0-22 * * *", "0 */2,1 * * *", "0 0-23/2 * * *", "@daily"]
    {
        assert_eq!(kind(text), SlotKind::Calendar, "{text}");
    }
}

#[test]
fn day_of_month_and_day_of_week_are_restricted_by_anything_but_exactly_a_star() {
    let either = |text: &str| CronExpression::new(text).unwrap().fields().either_day();
    assert!(either("0 0 1 * MON") && either("0 0 */1 * MON") && either("0 0 1-31 * 0-6"));
    assert!(!either("0 0 * * MON") && !either("0 0 1 * *"));
}
