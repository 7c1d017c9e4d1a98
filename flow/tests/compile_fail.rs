//! Behaviour 2: what does not compile, and what the compiler says to it.

/// It builds everything that the crate depends on once more, so it is done only when there is time.
/// That the first of these cases do not compile is also said, and tried, in the documentation of
/// `StepBuilder`.
#[test]
fn b02_mistakes_of_types_do_not_compile() {
    if std::env::var_os("JOBTRACKER_LONG").is_some() {
        trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
    }
}
