//! Open311 against the real daemon, as an application of citizens uses it: discovery, services, a report, how far it is.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tokio::process::Command;
use voxea_tests::kill::requests;
use voxea_tests::scratch::{self, Scratch};

const CONFIG: &str = "[open311]\nenabled = true\nbase_url = \"https://voxea.example.fr\"\njurisdiction = \"example.fr\"\n";
const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_citizens_application_reports_and_follows() -> Result<()> {
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", CONFIG).await?;
    let key = scratch.say(&["key", "new", "--name", "app", "--scope", "intake"]).await?;
    let running = scratch.run().await?;
    let mut app = voxea_tests::scratch::Rest::new(running.api, "nobody");
    let discovery = app.get("/open311/discovery.json").await?;
    ensure!(discovery["endpoints"][0]["url"] == "https://voxea.example.fr/open311/v2");
    let services = app.get("/open311/v2/services.json").await?;
    ensure!(
        services
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one["service_code"] == "voirie"))
    );
    let form = format!(
        "api_key={}&jurisdiction_id=example.fr&service_code=voirie&lat=48.85&long=2.35&description=Un+trou&email=zoe%40example.fr&last_name=Durand",
        key.trim()
    );
    let once = [("idempotency-key", "report-1")];
    let made = app.send("POST", "/open311/v2/requests.json", &once, Some((FORM, &form))).await?;
    ensure!(made.status == 201, "{}", String::from_utf8_lossy(&made.body));
    let reference = made.json()?[0]["service_request_id"].as_str().context("no id")?.to_owned();
    let again = app.send("POST", "/open311/v2/requests.json", &once, Some((FORM, &form))).await?;
    ensure!(
        again.json()?[0]["service_request_id"] == json!(reference),
        "a report that is sent again is the same"
    );
    let all = requests(&running, "channel=open311").await?;
    ensure!(all.len() == 1 && all[0]["from"] == "zoe@example.fr" && all[0]["ref"] == json!(reference));
    let xml = app.call("GET", &format!("/open311/v2/requests/{reference}.xml"), None).await?;
    let text = String::from_utf8(xml.body)?;
    ensure!(
        text.contains("<status>open</status>") && !text.contains("zoe") && !text.contains("Durand"),
        "{text}"
    );
    let mut rest = running.rest();
    let id = all[0]["id"].as_str().context("no id")?;
    let closed = rest
        .call_with(
            "PATCH",
            &format!("/v1/requests/{id}"),
            &[("if-match", "*")],
            Some(&json!({"status": "closed"})),
        )
        .await?;
    ensure!(closed.status == 200);
    let listed = app.get("/open311/v2/requests.json?status=closed&service_code=voirie").await?;
    ensure!(listed[0]["service_request_id"] == json!(reference), "{listed}");
    let log = running.log();
    ensure!(!log.contains(key.trim()) && !log.contains("zoe"), "the log says too much");
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_xml_is_read_by_a_reader_of_others() -> Result<()> {
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", CONFIG).await?;
    let running = scratch.run().await?;
    let mut rest = running.rest();
    for number in 0..3 {
        let form = format!("api_key={}&service_code=voirie&address_string=rue+{number}", scratch.key);
        let made = rest.send("POST", "/open311/v2/requests.xml", &[], Some((FORM, &form))).await?;
        ensure!(made.status == 201, "{}", String::from_utf8_lossy(&made.body));
    }
    for (path, count) in [
        ("/open311/v2/requests.xml", "count(/service_requests/request/service_request_id)"),
        (
            "/open311/v2/requests.xml?service_code=voirie",
            "count(/service_requests/request[status='open'])",
        ),
    ] {
        let answered = rest.call("GET", path, None).await?;
        ensure!(answered.header("content-type") == Some("text/xml; charset=utf-8"));
        let file = scratch.path().join("answer.xml");
        std::fs::write(&file, &answered.body)?;
        let counted = Command::new("xmllint")
            .args(["--nonet", "--xpath", count])
            .arg(&file)
            .output()
            .await;
        let counted = counted.context("xmllint is missing: scripts/install-peers")?;
        ensure!(
            String::from_utf8_lossy(&counted.stdout).trim() == "3",
            "{path}: {}",
            String::from_utf8_lossy(&counted.stdout)
        );
    }
    running.stop().await
}
