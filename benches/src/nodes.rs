/// Where the cluster is.
pub struct Nodes {
    pub nodes: Vec<String>,
    pub datacenter: String,
}

impl Nodes {
    /// Copies of each row.
    pub fn copies(&self) -> usize {
        self.nodes.len().min(3)
    }
}
