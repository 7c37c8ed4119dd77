//! What the writer costs, for examples that measure.

use std::time::Duration;

/// CPU time of the writer's thread: what else the machine does does not change it much (proc_pid_task(5), `schedstat`).
pub fn writer_busy() -> Result<Duration, crate::Failure> {
    for task in std::fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        if std::fs::read_to_string(task.join("comm"))?.trim_end() == "kouan-writer" {
            let busy = std::fs::read_to_string(task.join("schedstat"))?;
            return Ok(Duration::from_nanos(busy.split(' ').next().unwrap_or("0").parse()?));
        }
    }
    // It has not begun yet.
    Ok(Duration::ZERO)
}
