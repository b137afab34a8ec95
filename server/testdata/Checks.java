import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.mlflow.api.proto.ModelRegistry.ModelVersion;
import org.mlflow.api.proto.Service.CreateExperiment;
import org.mlflow.api.proto.Service.CreateRun;
import org.mlflow.api.proto.Service.Experiment;
import org.mlflow.api.proto.Service.ExperimentTag;
import org.mlflow.api.proto.Service.FileInfo;
import org.mlflow.api.proto.Service.Metric;
import org.mlflow.api.proto.Service.Param;
import org.mlflow.api.proto.Service.Run;
import org.mlflow.api.proto.Service.RunInfo;
import org.mlflow.api.proto.Service.RunStatus;
import org.mlflow.api.proto.Service.RunTag;
import org.mlflow.api.proto.Service.ViewType;
import org.mlflow.tracking.ActiveRun;
import org.mlflow.tracking.MlflowClient;
import org.mlflow.tracking.MlflowContext;
import org.mlflow.tracking.MlflowHttpException;
import org.mlflow.tracking.Page;
import org.mlflow.tracking.RunsPage;
import org.mlflow.tracking.creds.BasicMlflowHostCreds;

/**
 * What MLflow's own client for Java does with a server. Takes a folder for files; the environment
 * names the server and a token. Prints a line for each check, and how many there were.
 */
public class Checks {
  static int done, failed;
  static final MlflowClient client = new MlflowClient( // which reads no token from the environment
      new BasicMlflowHostCreds(System.getenv("MLFLOW_TRACKING_URI"), System.getenv("MLFLOW_TRACKING_TOKEN")));

  static void equal(String what, Object got, Object want) {
    done++;
    boolean holds = Objects.equals(got, want);
    if (!holds) failed++;
    System.out.println((holds ? "ok     " : "FAILED ") + what + (holds ? "" : ": " + got + ", want " + want));
  }

  static void refused(String what, int status, String code, Runnable call) {
    try {
      call.run();
      equal(what, "answered", "refused");
    } catch (MlflowHttpException e) {
      equal(what + ": status", e.getStatusCode(), status);
      equal(what + ": code", e.getBodyMessage().contains(code), true);
    }
  }

  static Map<String, String> params(Run r) {
    return r.getData().getParamsList().stream().collect(Collectors.toMap(Param::getKey, Param::getValue));
  }

  static Map<String, Double> metrics(Run r) {
    return r.getData().getMetricsList().stream().collect(Collectors.toMap(Metric::getKey, Metric::getValue));
  }

  static Map<String, String> tags(Run r) {
    return r.getData().getTagsList().stream().collect(Collectors.toMap(RunTag::getKey, RunTag::getValue));
  }

  /** What a page and those that follow it hold, and that they are of at most two. */
  static <T, R> List<R> pages(Page<T> page, Function<T, R> of) {
    List<R> all = new ArrayList<>();
    while (true) {
      equal("a page of two at most", page.getPageSize() <= 2, true);
      for (T item : page.getItems()) all.add(of.apply(item));
      if (!page.hasNextPage()) return all;
      page = page.getNextPage();
    }
  }

  static void credentials() throws Exception {
    String uri = System.getenv("MLFLOW_TRACKING_URI"), token = System.getenv("MLFLOW_TRACKING_TOKEN");
    try (MlflowClient none = new MlflowClient(uri); // reads no token from the environment
        MlflowClient password = new MlflowClient(new BasicMlflowHostCreds(uri, "anybody", token))) {
      refused("no token", 401, "UNAUTHENTICATED", () -> none.getExperiment("0"));
      equal("token as password", password.getExperiment("0").getName(), "Default");
    }
    equal("sendGet", client.sendGet("experiments/get?experiment_id=0").contains("\"Default\""), true);
    refused("not served", 501, "NOT_IMPLEMENTED", () -> client.sendPost("traces", "{}"));
  }

  static void experiments() {
    String id = client.createExperiment(CreateExperiment.newBuilder().setName("java")
        .addTags(ExperimentTag.newBuilder().setKey("team").setValue("risk")).build());
    equal("experiment: by ID", client.getExperiment(id).getName(), "java");
    equal("experiment: tag", client.getExperiment(id).getTags(0).getValue(), "risk");
    client.setExperimentTag(id, "team", "fraud");
    equal("experiment: tag set", client.getExperiment(id).getTags(0).getValue(), "fraud");
    equal("experiment: by name", client.getExperimentByName("java").get().getExperimentId(), id);
    equal("experiment: none", client.getExperimentByName("none").isPresent(), false);
    equal("experiment: found", client.searchExperiments("name = 'java'").getItems().size(), 1);
    equal("experiment: all are found", client.searchExperiments().getItems().stream().map(Experiment::getName).collect(Collectors.toSet()),
        Set.of("Default", "java"));
    refused("experiment: twice", 400, "RESOURCE_ALREADY_EXISTS", () -> client.createExperiment("java"));
    refused("experiment: unknown", 404, "RESOURCE_DOES_NOT_EXIST", () -> client.getExperiment("12345"));
    client.deleteExperiment(id);
    equal("experiment: deleted", client.getExperiment(id).getLifecycleStage(), "deleted");
    client.restoreExperiment(id);
    equal("experiment: restored", client.getExperiment(id).getLifecycleStage(), "active");
    client.renameExperiment(id, "java, renamed");
    equal("experiment: renamed", client.getExperiment(id).getName(), "java, renamed");
    for (String name : List.of("page a", "page b", "page c")) client.createExperiment(name);
    equal("experiment: pages", pages(client.searchExperiments("name LIKE 'page %'", ViewType.ACTIVE_ONLY, 2, List.of("name DESC")), Experiment::getName),
        List.of("page c", "page b", "page a"));
  }

  static void runs() {
    String experiment = client.createExperiment("java runs");
    long begun = 1700000000123L;
    RunInfo info = client.createRun(CreateRun.newBuilder().setExperimentId(experiment).setUserId("me").setStartTime(begun)
        .setRunName("from Java").build());
    String id = info.getRunId();
    equal("run: status", info.getStatus(), RunStatus.RUNNING);
    equal("run: start", info.getStartTime(), begun);
    equal("run: name", info.getRunName(), "from Java");
    client.logParam(id, "lr", "0.1");
    client.logMetric(id, "loss", 0.5);
    client.logMetric(id, "loss", 0.25, begun, 9007199254740993L); // beyond what a double holds
    client.logMetric(id, "odd", Double.NaN, begun, -1);
    client.setTag(id, "team", "risk");
    client.setTag(id, "gone", "x");
    client.deleteTag(id, "gone");
    List<Metric> many = new ArrayList<>();
    for (int i = 0; i < 500; i++) {
      many.add(Metric.newBuilder().setKey("many").setValue(i).setTimestamp(begun + i).setStep(i).build());
    }
    client.logBatch(id, many, List.of(Param.newBuilder().setKey("opt").setValue("adam").build()),
        List.of(RunTag.newBuilder().setKey("from").setValue("a batch").build()));
    Run run = client.getRun(id);
    equal("run: params", params(run), Map.of("lr", "0.1", "opt", "adam"));
    equal("run: metric", metrics(run).get("loss"), 0.25);
    equal("run: NaN", Double.isNaN(metrics(run).get("odd")), true);
    equal("run: batch", metrics(run).get("many"), 499.0);
    equal("run: tags", tags(run).get("team") + tags(run).get("from") + tags(run).get("gone"), "riska batchnull");
    equal("run: great step", client.getMetricHistory(id, "loss").get(0).getStep(), 9007199254740993L); // of the earlier time
    equal("run: history", client.getMetricHistory(id, "many").size(), 500);
    refused("run: another value of a param", 400, "INVALID_PARAMETER_VALUE", () -> client.logParam(id, "lr", "0.2"));
    refused("run: unknown", 404, "RESOURCE_DOES_NOT_EXIST", () -> client.getRun("0123456789abcdef0123456789abcdef"));
    client.setTerminated(id, RunStatus.FAILED, begun + 5000);
    equal("run: ended", client.getRun(id).getInfo().getStatus(), RunStatus.FAILED);
    equal("run: end", client.getRun(id).getInfo().getEndTime(), begun + 5000);
    client.setTerminated(id);
    equal("run: finished", client.getRun(id).getInfo().getStatus(), RunStatus.FINISHED);
    client.setTerminated(id, RunStatus.KILLED);
    equal("run: killed", client.getRun(id).getInfo().getStatus(), RunStatus.KILLED);
    equal("run: listed", client.listRunInfos(experiment).stream().map(RunInfo::getRunId).collect(Collectors.toList()), List.of(id));
    equal("run: of no experiment", client.createRun().getExperimentId(), "0");
    client.deleteRun(id);
    equal("run: deleted", client.getRun(id).getInfo().getLifecycleStage(), "deleted");
    equal("run: none is found", client.searchRuns(List.of(experiment), "").size(), 0);
    equal("run: deleted ones are found", client.searchRuns(List.of(experiment), "", ViewType.DELETED_ONLY).size(), 1);
    client.restoreRun(id);
    equal("run: restored", client.getRun(id).getInfo().getLifecycleStage(), "active");
    search(experiment);
  }

  static void search(String experiment) {
    for (int i = 0; i < 5; i++) {
      String id = client.createRun(experiment).getRunId();
      client.logMetric(id, "acc", i / 10.0);
    }
    List<String> in = List.of(experiment);
    equal("search: filter", client.searchRuns(in, "metrics.acc > 0.15").size(), 3);
    RunsPage page = client.searchRuns(in, "metrics.acc >= 0", ViewType.ACTIVE_ONLY, 2, List.of("metrics.acc DESC"));
    equal("search: pages", pages(page, r -> metrics(r).get("acc")), List.of(0.4, 0.3, 0.2, 0.1, 0.0));
    equal("search: a later page", client.searchRuns(in, "metrics.acc >= 0", ViewType.ACTIVE_ONLY, 2, List.of("metrics.acc DESC"),
        page.getNextPageToken().get()).getItems().stream().map(r -> metrics(r).get("acc")).collect(Collectors.toList()), List.of(0.2, 0.1));
    refused("search: bad filter", 400, "INVALID_PARAMETER_VALUE", () -> client.searchRuns(in, "metrics.acc >"));
  }

  static void context() {
    MlflowContext context = new MlflowContext(client);
    context.setExperimentName(client.getExperiment(client.createExperiment("java context")).getName());
    String[] id = new String[1];
    context.withActiveRun("within", run -> {
      id[0] = run.getId();
      run.logParams(Map.of("a", "1", "b", "2"));
      run.logMetrics(Map.of("x", 1.5), 3);
      run.setTags(Map.of("k", "v"));
      run.logParam("c", "3");
      run.logMetric("y", 2.5);
      run.logMetric("z", 3.5, 7);
      run.setTag("l", "w");
      run.logMetrics(Map.of("u", 4.5));
    });
    Run run = client.getRun(id[0]);
    equal("context: params", params(run), Map.of("a", "1", "b", "2", "c", "3"));
    equal("context: metric", metrics(run), Map.of("x", 1.5, "y", 2.5, "z", 3.5, "u", 4.5));
    equal("context: tags", tags(run).get("k") + tags(run).get("l") + tags(run).get("mlflow.runName"), "vwwithin");
    equal("context: experiment", run.getInfo().getExperimentId(), context.getExperimentId());
    equal("context: ended", run.getInfo().getStatus(), RunStatus.FINISHED);
    ActiveRun parent = context.startRun("parent");
    ActiveRun child = context.startRun("child", parent.getId());
    equal("context: child", tags(client.getRun(child.getId())).get("mlflow.parentRunId"), parent.getId());
    child.endRun();
    parent.endRun(RunStatus.KILLED);
    equal("context: killed", client.getRun(parent.getId()).getInfo().getStatus(), RunStatus.KILLED);
    MlflowContext other = new MlflowContext(client).setExperimentId(client.createExperiment("java context, by ID"));
    ActiveRun unnamed = other.startRun();
    unnamed.endRun();
    equal("context: by ID", other.getClient().getRun(unnamed.getId()).getInfo().getExperimentId(), other.getExperimentId());
    try {
      other.withActiveRun(failing -> {
        id[0] = failing.getId();
        throw new IllegalStateException("on purpose");
      });
    } catch (IllegalStateException e) {
      equal("context: failed", client.getRun(id[0]).getInfo().getStatus(), RunStatus.FAILED);
    }
  }

  static void artifacts(Path dir) throws Exception {
    MlflowContext context = new MlflowContext(client).setExperimentId(client.createExperiment("java artifacts"));
    ActiveRun run = context.startRun(); // which hands on to the client's methods of the same names
    String id = run.getId();
    equal("artifacts: none", client.listArtifacts(id).size(), 0);
    Path file = Files.writeString(dir.resolve("a.txt"), "from Java");
    Path folder = Files.createDirectories(dir.resolve("model"));
    Files.writeString(folder.resolve("MLmodel"), "flavors: {}");
    run.logArtifact(file);
    run.logArtifact(file, "deep/er");
    run.logArtifacts(folder, "model");
    equal("artifacts: URI", run.getArtifactUri(), client.getRun(id).getInfo().getArtifactUri());
    equal("artifacts: listed", client.listArtifacts(id).stream().map(f -> f.getPath() + ":" + f.getFileSize()).sorted().collect(Collectors.toList()),
        List.of("a.txt:9", "deep:0", "model:0"));
    equal("artifacts: listed below", client.listArtifacts(id, "deep/er").stream().map(FileInfo::getPath).collect(Collectors.toList()), List.of("deep/er/a.txt"));
    equal("artifacts: downloaded", Files.readString(client.downloadArtifacts(id, "deep/er/a.txt").toPath()), "from Java");
    Path all = client.downloadArtifacts(id).toPath();
    equal("artifacts: all downloaded", Files.readString(all.resolve("a.txt")) + Files.readString(all.resolve("model/MLmodel")), "from Javaflavors: {}");
    models(id);
  }

  static void models(String run) throws Exception {
    String name = "java-model";
    client.sendPost("registered-models/create", "{\"name\": \"" + name + "\"}");
    for (int i = 0; i < 2; i++) {
      client.sendPost("model-versions/create",
          "{\"name\": \"" + name + "\", \"source\": \"" + client.getRun(run).getInfo().getArtifactUri() + "/model\", \"run_id\": \"" + run + "\"}");
    }
    client.sendPost("model-versions/transition-stage",
        "{\"name\": \"" + name + "\", \"version\": \"1\", \"stage\": \"Production\", \"archive_existing_versions\": false}");
    client.sendPatch("model-versions/update", "{\"name\": \"" + name + "\", \"version\": \"2\", \"description\": \"the second\"}");
    equal("models: registered", client.getRegisteredModel(name).getName(), name);
    ModelVersion second = client.getModelVersion(name, "2");
    equal("models: version", second.getDescription() + second.getRunId(), "the second" + run);
    equal("models: latest", client.getLatestVersions(name).stream().map(ModelVersion::getVersion).sorted().collect(Collectors.toList()),
        List.of("1", "2"));
    equal("models: of a stage", client.getLatestVersions(name, List.of("Production")).get(0).getVersion(), "1");
    equal("models: found", client.searchModelVersions("name='" + name + "'").getItems().size(), 2);
    equal("models: pages", pages(client.searchModelVersions("name='" + name + "'", 1, List.of("version_number DESC")), ModelVersion::getVersion), List.of("2", "1"));
    equal("models: all are found", client.searchModelVersions().getItems().size(), 2);
    refused("models: unknown", 404, "RESOURCE_DOES_NOT_EXIST", () -> client.getRegisteredModel("none"));
    equal("models: URI", client.getModelVersionDownloadUri(name, "2").startsWith("mlflow-artifacts:"), true);
    File folder = client.downloadLatestModelVersion(name, "None"); // by downloadModelVersion
    equal("models: files", Files.readString(folder.toPath().resolve("MLmodel")), "flavors: {}");
  }

  public static void main(String[] args) throws Exception {
    credentials();
    experiments();
    runs();
    context();
    artifacts(Path.of(args[0]));
    System.out.println(done + " checks, " + failed + " failed");
    System.exit(failed > 0 ? 1 : 0);
  }
}
