use jobtracker_model::{
    Page, Timestamp,
    schedule::{
        Firing, NewSchedule, NextFires, PlannedTimes, RegisterSchedule, Schedule,
        ScheduleDefinition, ScheduleRegistered, TriggerSchedule, Triggered,
    },
};

use reqwest::Method;

use crate::{JobTrackerClient, ListPage, Result, call::Call};

const PATH: &str = "api/v1/schedules";

/// Schedules: admins define them, writers register those of programs, operators fire, enable and
/// disable them, readers read them.
impl JobTrackerClient {
    /// Creates a schedule. Durable, and safe to repeat with the same definition.
    ///
    /// # Errors
    /// `forbidden` unless the caller is an admin, `invalid_field`, `schedule_exists`.
    pub async fn create_schedule(&self, schedule: &NewSchedule) -> Result<Schedule> {
        self.http.json(Call::post(PATH, schedule)?).await
    }

    /// A page of schedules, by name.
    ///
    /// # Errors
    /// `invalid_cursor`.
    pub async fn schedules(&self, page: ListPage) -> Result<Page<Schedule>> {
        self.http.json(Call::get(PATH).page(page)).await
    }

    /// A schedule, with its open runs and its numbers.
    ///
    /// # Errors
    /// `schedule_not_found`.
    pub async fn schedule(&self, name: &str) -> Result<Schedule> {
        self.http.json(Call::get(PATH).key(name)?).await
    }

    /// Replaces the definition of a schedule, if it has the version that the caller has seen; with
    /// no version, in any case. Durable. Without a version safe to repeat.
    ///
    /// # Errors
    /// `forbidden` unless the caller is an admin, `invalid_field`, `schedule_not_found`,
    /// `other_version`.
    pub async fn replace_schedule(
        &self,
        name: &str,
        definition: &ScheduleDefinition,
        version: Option<u64>,
    ) -> Result<Schedule> {
        let call = Call::put(PATH, definition)?.key(name)?;
        self.http.json(call.if_match(version)).await
    }

    /// Registers the schedule of a program: creates it, or replaces the definition of an older
    /// version of the program. What was put by hand stays, as the answer says. Durable, and safe to
    /// repeat.
    ///
    /// # Errors
    /// `forbidden` unless the caller is a writer, `invalid_field`.
    pub async fn register_schedule(
        &self,
        name: &str,
        schedule: &RegisterSchedule,
    ) -> Result<ScheduleRegistered> {
        self.http.json(Call::post(PATH, schedule)?.key(name)?.key("register")?).await
    }

    /// Deletes a schedule, if it has the version that the caller has seen; with no version, in any
    /// case. Its open runs go on.
    ///
    /// # Errors
    /// `forbidden` unless the caller is an admin, `schedule_not_found`, `other_version`.
    pub async fn delete_schedule(&self, name: &str, version: Option<u64>) -> Result<()> {
        self.http.send(Call::delete(PATH).key(name)?.if_match(version)).await.map(drop)
    }

    /// Has the triggers of a schedule plan firings, from now on, or none any more. Safe to repeat.
    ///
    /// # Errors
    /// `forbidden` unless the caller is an operator, `schedule_not_found`.
    pub async fn enable_schedule(&self, name: &str, enabled: bool) -> Result<Schedule> {
        let act = if enabled { "enable" } else { "disable" };
        self.http.json(Call::new(Method::POST, PATH.into()).key(name)?.key(act)?).await
    }

    /// Fires a schedule by hand, now or later. Durable. With an idempotency key it is safe to
    /// repeat, and is tried again under the client's policy; without one it is tried once.
    ///
    /// # Errors
    /// `forbidden` unless the caller is an operator, `invalid_field`, `schedule_not_found`,
    /// `too_many_planned`.
    pub async fn trigger_schedule(
        &self,
        name: &str,
        request: &TriggerSchedule,
    ) -> Result<Triggered> {
        let call = Call::post(PATH, request)?.key(name)?.key("trigger")?;
        let call = if request.idempotency_key.is_some() { call } else { call.once() };
        self.http.json(call).await
    }

    /// The last firings of a schedule, the newest first.
    ///
    /// # Errors
    /// `schedule_not_found`.
    pub async fn firings(&self, name: &str) -> Result<Vec<Firing>> {
        let page: Page<Firing> = self.http.json(Call::get(PATH).key(name)?.key("firings")?).await?;
        Ok(page.items)
    }

    /// The next planned times of a schedule, at most 100.
    ///
    /// # Errors
    /// `schedule_not_found`.
    pub async fn next_fires(&self, name: &str, count: u32) -> Result<Vec<Timestamp>> {
        let call = Call::get(PATH).key(name)?.key("next-fires")?.query("n", Some(count));
        let planned: PlannedTimes = self.http.json(call).await?;
        Ok(planned.times)
    }

    /// When a definition would fire. Checks it as a creation does, and stores nothing.
    ///
    /// # Errors
    /// `invalid_field`.
    pub async fn preview_schedule(&self, request: &NextFires) -> Result<Vec<Timestamp>> {
        let call = Call::post("api/v1/planned-times", request)?;
        let planned: PlannedTimes = self.http.json(call).await?;
        Ok(planned.times)
    }
}
