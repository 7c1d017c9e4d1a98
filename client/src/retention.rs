use jobtracker_model::{
    DeletedTree, JobId, NamedRetentionRule, Page, RetentionPreview, RetentionRule,
};

use crate::{JobTrackerClient, Result, call::Call};

/// Deletion, by hand and by rules: for admins.
impl JobTrackerClient {
    /// Deletes a tree by its root. Durable, and cannot be undone. When it is sent again after a
    /// lost answer, it is answered as `gone`.
    ///
    /// # Errors
    /// `forbidden` unless the caller is an admin, `job_not_found`, `not_a_root`, `gone`,
    /// `open_follow_ups`, `contention` while the tree keeps changing.
    pub async fn delete_tree(&self, root: JobId) -> Result<DeletedTree> {
        self.http.json(Call::delete(format!("api/v1/jobs/{root}"))).await
    }

    /// The retention rules, by name.
    ///
    /// # Errors
    /// `forbidden` unless the caller is an admin.
    pub async fn retention_rules(&self) -> Result<Vec<NamedRetentionRule>> {
        let page: Page<NamedRetentionRule> =
            self.http.json(Call::get("api/v1/retention/rules")).await?;
        Ok(page.items)
    }

    /// Puts a retention rule, in the place of the one of that name. Durable, and safe to repeat. It
    /// is in force from the service's next round on.
    ///
    /// # Errors
    /// `forbidden` unless the caller is an admin, `invalid_field`, `invalid_expression`,
    /// `too_many_retention_rules`.
    pub async fn put_retention_rule(
        &self,
        name: &str,
        rule: &RetentionRule,
    ) -> Result<NamedRetentionRule> {
        self.http.json(Call::put("api/v1/retention/rules", rule)?.key(name)?).await
    }

    /// Deletes a retention rule.
    ///
    /// # Errors
    /// `forbidden` unless the caller is an admin, `retention_rule_not_found`.
    pub async fn delete_retention_rule(&self, name: &str) -> Result<()> {
        self.http.send(Call::delete("api/v1/retention/rules").key(name)?).await.map(drop)
    }

    /// What a rule would delete now. Deletes nothing.
    ///
    /// # Errors
    /// `forbidden` unless the caller is an admin, `invalid_field`, `invalid_expression`.
    pub async fn preview_retention(&self, rule: &RetentionRule) -> Result<RetentionPreview> {
        self.http.json(Call::post("api/v1/retention/preview", rule)?).await
    }
}
