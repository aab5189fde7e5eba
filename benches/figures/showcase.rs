//! What a minute of `fuelgauge demo` takes of the machine.

use std::process::Command;
use std::time::Duration;

use crate::Bench;
use crate::process::{FUELGAUGE, Running, free_address};
use crate::report::{Row, megabytes, time};

pub fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let address = free_address()?;
    let folder = bench.path().join("demo");
    std::fs::create_dir_all(&folder)?;
    let mut command = Command::new(FUELGAUGE);
    command.arg("demo").arg(format!("--web.listen-address={address}")).env("TMPDIR", &folder);
    let mut demo = Running::start(command, &folder)?;
    demo.wait_for(address, "/-/ready")?;
    let at_start = demo.cpu()?;
    let seconds = bench.count(60, 5) as u64;
    std::thread::sleep(Duration::from_secs(seconds));
    let used = demo.cpu()?.saturating_sub(at_start);
    let (resident, most) = demo.resident_kib()?;
    demo.stop()?;
    let share = 100.0 * used.as_secs_f64() / seconds as f64;
    Ok(vec![
        Row::new(
            format!("`demo` at its usual speed for {seconds} s"),
            format!("{share:.0} % of one core ({} before it was ready)", time(at_start)),
        ),
        Row::new("… its resident memory then", format!("{} (most ever: {})", megabytes(resident), megabytes(most))),
    ])
}
