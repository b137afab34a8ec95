package mlflow

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/testenv"
)

// peer is MLflow's own server on an empty database, which ends with the test.
func peer(t *testing.T) *served {
	t.Helper()
	program, err := filepath.Abs("testdata/peer.py")
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), testenv.MLflow(t), program)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "HOME="+cmd.Dir)
	var said bytes.Buffer
	cmd.Stderr = &said
	alive, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	url, err := bufio.NewReader(out).ReadString('\n')
	t.Cleanup(func() {
		_ = alive.Close()
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait() // the test's end may have ended it
		if t.Failed() {
			t.Logf("what MLflow's server said: %s", said.String())
		}
	})
	require.NoError(t, err)
	return &served{t: t, url: strings.TrimSpace(url)}
}

// stage makes what the requests of asks are about, and gives what puts its IDs into
// them.
func (s *served) stage() func(string) string {
	experiment := post[createExperimentResponse](s, "experiments/create", object{"name": "e"}).ExperimentID
	run := func() string {
		return post[runResponse](s, "runs/create", object{"experiment_id": experiment, "start_time": 1}).Run.Info.RunID
	}
	id, gone := run(), run()
	model := post[loggedModelResponse](s, "logged-models", object{"experiment_id": experiment, "name": "l"}).Model.Info.ModelID
	for path, message := range map[string]object{
		"runs/delete": {"run_id": gone}, "experiments/create": {"name": "other"}, "registered-models/create": {"name": "m"},
		"runs/log-parameter": {"run_id": id, "key": "set", "value": "1"},
	} {
		post[object](s, path, message)
	}
	post[object](s, "model-versions/create", object{"name": "m", "source": "s3://bucket/model"})
	return strings.NewReplacer("$RUN", id, "$GONE", gone, "$E", experiment, "$MODEL", model).Replace
}

// ask is a request that is sent to both servers.
type ask struct {
	request string // method, path below /api/2.0/mlflow/ and body; {250} stands for as many characters
	ours    string // our answer where it is another: OK or an error code
	row     string // where the documents say so: the first column of their table of what is different
}

const ok = "OK"

var longText = regexp.MustCompile(`\{(\d+)\}`)

// outcome sends the request. Error codes have one HTTP status each, which is checked.
func (a ask) outcome(s *served, stage func(string) string) string {
	s.t.Helper()
	method, rest, _ := strings.Cut(a.request, " ")
	path, body, _ := strings.Cut(rest, " ")
	long := func(text string) string {
		return longText.ReplaceAllStringFunc(stage(text), func(n string) string {
			length, _ := strconv.Atoi(n[1 : len(n)-1]) // digits
			return strings.Repeat("x", length)
		})
	}
	got := s.send(method, "/api/2.0/mlflow/"+long(path), jsonType, long(body))
	if got.status == http.StatusOK {
		return ok
	}
	if c := code(got.code()); c != "" && c.status() == got.status {
		return string(c)
	}
	return fmt.Sprintf("%d %s", got.status, got.code())
}

// many gives a JSON list of n elements, in which # is the number.
func many(n int, element string) string {
	list := make([]string, n)
	for i := range list {
		list[i] = strings.ReplaceAll(element, "#", strconv.Itoa(i))
	}
	return "[" + strings.Join(list, ",") + "]"
}

const (
	invalidParameter = string(codeInvalidParameter)
	notFound         = string(codeNotFound)
)

// The rows of the documents.
const (
	names     = "names of metrics, parameters, tags"
	bounds    = "lengths that MLflow leaves to its database"
	times     = "times of runs and metrics"
	wrongType = "a value of the wrong type"
	idsOf     = "ID of an experiment"
	leftOut   = "what is needed and left out"
	twice     = "a tag that stands twice in a request"
	unknown   = "history of a metric of a run that is not there"
	tokens    = "page tokens"
	filters   = "filters"
	sources   = "locations and sources elsewhere"
	paths     = "odd paths of artifacts"
	describe  = "descriptions of registered models and versions"
	runOf     = "`run_id` of `create_model_version` with a source in a run"
	searches  = "sizes of pages that are none"
)

// asks are the requests. Those of one run go by their order.
func asks() []ask {
	list := []ask{
		{"POST experiments/create {}", "", ""},
		{`POST experiments/create {"name":""}`, "", ""},
		{`POST experiments/create {"name":"  "}`, "", ""},
		{`POST experiments/create {"name":"{500}"}`, "", ""},
		{`POST experiments/create {"name":"{501}"}`, "", ""},
		{`POST experiments/create {"name":"a/b é日 'x' .."}`, "", ""},
		{`POST experiments/create {"name":"e"}`, "", ""},
		{`POST experiments/create {"name":5}`, "", ""},
		{`POST experiments/create {"name":"at runs","artifact_location":"runs:/x"}`, "", ""},
		{`POST experiments/create {"name":"at bucket","artifact_location":"s3://b/{2041}"}`, "", ""},
		{`POST experiments/create {"name":"far off","artifact_location":"s3://b/{2042}"}`, "", ""},
		{`POST experiments/create {"name":"queried","artifact_location":"s3://b?x=1"}`, invalidParameter, sources},
		{`POST experiments/create {"name":"on the web","artifact_location":"http://h/y"}`, ok, sources},
		{`POST experiments/create {"name":"tagged","tags":[{"key":"a","value":"1"},{"key":"a","value":"2"}]}`, ok, twice},
		{`POST experiments/set-experiment-tag {"experiment_id":"$E","key":"k"}`, "", ""},
		{`POST experiments/set-experiment-tag {"experiment_id":"$E","value":"v"}`, "", ""},
		{`POST experiments/set-experiment-tag {"experiment_id":"$E","key":"k","value":"{20000}"}`, "", ""},
		{`POST experiments/set-experiment-tag {"experiment_id":"$E","key":"k","value":"{20001}"}`, "", ""},
		{`POST experiments/set-experiment-tag {"experiment_id":"999999","key":"k","value":"v"}`, "", ""},
		{`POST experiments/delete-experiment-tag {"experiment_id":"$E","key":"none"}`, "", ""},
		{"GET experiments/get", "", ""},
		{"GET experiments/get?experiment_id=999999", "", ""},
		{"GET experiments/get?experiment_id=none", notFound, idsOf},
		{"GET experiments/get-by-name?experiment_name=none", "", ""},
		{`POST experiments/update {"experiment_id":"$E","new_name":""}`, "", ""},
		{`POST experiments/update {"experiment_id":"$E","new_name":"{501}"}`, "", ""},
		{`POST experiments/update {"experiment_id":"$E","new_name":"other"}`, "", ""},
		{`POST experiments/update {"experiment_id":"999999","new_name":"x"}`, "", ""},
		{`POST experiments/delete {"experiment_id":"999999"}`, "", ""},
		{`POST experiments/restore {"experiment_id":"$E"}`, "", ""},
		{`POST experiments/search {}`, ok, leftOut},
		{`POST experiments/search {"max_results":1,"filter":"x"}`, "", ""},
		{`POST experiments/search {"max_results":1,"order_by":["name FOO"]}`, "", ""},
		{`POST experiments/search {"max_results":1,"view_type":"X"}`, invalidParameter, wrongType},

		{`POST runs/create {}`, ok, leftOut},
		{`POST runs/create {"experiment_id":"999999"}`, "", ""},
		{`POST runs/create {"experiment_id":"$E","run_name":"{256}"}`, "", ""},
		{`POST runs/create {"experiment_id":"$E","run_name":"{257}"}`, invalidParameter, bounds},
		{`POST runs/create {"experiment_id":"$E","run_name":"a","tags":[{"key":"mlflow.runName","value":"b"}]}`, "", ""},
		{`POST runs/create {"experiment_id":"$E","user_id":"{300}"}`, "", ""},
		{`POST runs/create {"experiment_id":"$E","tags":[{"key":"k","value":"{8001}"}]}`, "", ""},
		{`POST runs/create {"experiment_id":"$E","tags":[{"key":"{251}","value":"v"}]}`, invalidParameter, bounds},
		{`POST runs/create {"experiment_id":"$E","start_time":-1}`, "", ""},
		{`POST runs/create {"experiment_id":"$E","start_time":"5"}`, "", ""},
		{`POST runs/create {"experiment_id":"$E","start_time":1700000000000000000}`, invalidParameter, times},
		{`POST runs/create {"experiment_id":"$E","start_time":1.5}`, invalidParameter, wrongType},
		{`POST runs/update {"run_id":"$RUN","status":"DONE"}`, invalidParameter, wrongType},
		{`POST runs/update {"run_id":"none","status":"FINISHED"}`, "", ""},
		{`POST runs/update {"run_id":"$GONE","status":"FINISHED"}`, "", ""},
		{"GET runs/get", "", ""},
		{"GET runs/get?run_id=none", "", ""},
		{"GET runs/get?run_id={300}", "", ""},
		{`POST runs/delete {"run_id":"none"}`, "", ""},
		{`POST runs/delete {"run_id":"$GONE"}`, "", ""},

		{`POST runs/log-metric {"run_id":"$RUN","key":"m","value":1}`, "", ""},
		{`POST runs/log-metric {"run_id":"$RUN","key":"m","timestamp":1}`, "", ""},
		{`POST runs/log-metric {"run_id":"$RUN","key":"m","value":null,"timestamp":1}`, "", ""},
		{`POST runs/log-metric {"run_id":"$RUN","key":"nan","value":"NaN","timestamp":1}`, "", ""},
		{`POST runs/log-metric {"run_id":"$RUN","key":"inf","value":"Infinity","timestamp":1}`, "", ""},
		{`POST runs/log-metric {"run_id":"$RUN","key":"minus","value":"-Infinity","timestamp":1}`, "", ""},
		{`POST runs/log-metric {"run_id":"$RUN","key":"text","value":"1.5","timestamp":"1","step":"2"}`, "", ""},
		{`POST runs/log-metric {"run_id":"$RUN","key":"no number","value":"abc","timestamp":1}`, "", ""},
		{`POST runs/log-metric {"run_id":"$RUN","key":"yes","value":true,"timestamp":1}`, invalidParameter, wrongType},
		{`POST runs/log-metric {"run_id":"$RUN","key":"before","value":1,"timestamp":1,"step":-9223372036854775808}`, "", ""},
		{`POST runs/log-metric {"run_id":"$RUN","key":"after","value":1,"timestamp":1,"step":9223372036854775807}`, "", ""},
		{`POST runs/log-metric {"run_id":"$RUN","key":"beyond","value":1,"timestamp":1,"step":9223372036854775808}`, invalidParameter, wrongType},
		{`POST runs/log-metric {"run_id":"$RUN","key":"half","value":1,"timestamp":1,"step":1.5}`, invalidParameter, wrongType},
		{`POST runs/log-metric {"run_id":"$RUN","key":"early","value":1,"timestamp":-1}`, "", ""},
		{`POST runs/log-metric {"run_id":"$RUN","key":"first","value":1,"timestamp":0}`, "", ""},
		{`POST runs/log-metric {"run_id":"$RUN","key":"nanos","value":1,"timestamp":1700000000000000000}`, invalidParameter, times},
		{`POST runs/log-metric {"run_id":"none","key":"m","value":1,"timestamp":1}`, "", ""},
		{`POST runs/log-metric {"run_id":"$GONE","key":"m","value":1,"timestamp":1}`, "", ""},
		{`POST runs/log-metric {"run_id":"$RUN","key":"m","value":1,"timestamp":1,"model_id":"$MODEL"}`, "", ""},
		{`POST runs/log-metric {"run_id":"$RUN","key":"m","value":1,"timestamp":1,"dataset_name":"d"}`, "", ""},
		{`POST runs/log-metric {"run_id":"$RUN","key":"m","value":1,"timestamp":1,"dataset_digest":"d"}`, "", ""},
		{`POST runs/log-batch {"run_id":"$RUN","metrics":[{"key":"m","value":1,"timestamp":1,"dataset_name":"d"}]}`, "", ""},

		{`POST runs/log-parameter {"run_id":"$RUN","key":"empty","value":""}`, "", ""},
		{`POST runs/log-parameter {"run_id":"$RUN","key":"none"}`, "", ""},
		{`POST runs/log-parameter {"run_id":"$RUN","key":"number","value":5}`, "", ""},
		{`POST runs/log-parameter {"run_id":"$RUN","key":"fits","value":"{6000}"}`, "", ""},
		{`POST runs/log-parameter {"run_id":"$RUN","key":"is cut","value":"{6001}"}`, "", ""},
		{`POST runs/log-parameter {"run_id":"$RUN","key":"is cut","value":"{6002}"}`, "", ""},
		{`POST runs/log-parameter {"run_id":"$RUN","key":"wide","value":"` + strings.Repeat("ü", 6001) + `"}`, "", ""},
		{`POST runs/log-parameter {"run_id":"$RUN","key":"set","value":"1"}`, "", ""},
		{`POST runs/log-parameter {"run_id":"$RUN","key":"set","value":"2"}`, "", ""},
		{`POST runs/log-parameter {"run_id":"$GONE","key":"p","value":"1"}`, "", ""},
		{`POST runs/set-tag {"run_id":"$RUN","key":"fits","value":"{8000}"}`, "", ""},
		{`POST runs/set-tag {"run_id":"$RUN","key":"is cut","value":"{8001}"}`, "", ""},
		{`POST runs/set-tag {"run_id":"$RUN","key":"none"}`, "", ""},
		{`POST runs/set-tag {"run_id":"$RUN","key":"mlflow.runName","value":"{257}"}`, invalidParameter, bounds},
		{`POST runs/set-tag {"run_id":"$RUN","key":"mlflow.runName","value":"r"}`, "", ""},
		{`POST runs/delete-tag {"run_id":"$RUN","key":"not there"}`, "", ""},

		{`POST runs/log-batch {}`, "", ""},
		{`POST runs/log-batch {"run_id":"$RUN"}`, "", ""},
		{`POST runs/log-batch {"run_id":"none"}`, "", ""},
		{`POST runs/log-batch {"run_id":"$GONE"}`, "", ""},
		{`POST runs/log-batch {"run_id":"$RUN","metrics":` + many(1000, `{"key":"b#","value":#,"timestamp":1}`) + `}`, "", ""},
		{`POST runs/log-batch {"run_id":"$RUN","metrics":` + many(1001, `{"key":"c#","value":1,"timestamp":1}`) + `}`, "", ""},
		{`POST runs/log-batch {"run_id":"$RUN","params":` + many(100, `{"key":"b#","value":"#"}`) + `}`, "", ""},
		{`POST runs/log-batch {"run_id":"$RUN","params":` + many(101, `{"key":"c#","value":"1"}`) + `}`, "", ""},
		{`POST runs/log-batch {"run_id":"$RUN","tags":` + many(100, `{"key":"b#","value":"#"}`) + `}`, "", ""},
		{`POST runs/log-batch {"run_id":"$RUN","tags":` + many(101, `{"key":"c#","value":"1"}`) + `}`, "", ""},
		{`POST runs/log-batch {"run_id":"$RUN","metrics":` + many(901, `{"key":"c#","value":1,"timestamp":1}`) + `,"params":` + many(100, `{"key":"b#","value":"#"}`) + `}`, "", ""},
		{`POST runs/log-batch {"run_id":"$RUN","params":[{"key":"again","value":"1"},{"key":"again","value":"1"}]}`, "", ""},
		{`POST runs/log-batch {"run_id":"$RUN","tags":[{"key":"again","value":"1"},{"key":"again","value":"2"}]}`, "", ""},
		{`POST runs/log-batch {"run_id":"$RUN","params":[{"key":"no","value":"1"},{"key":"set","value":"2"}],"tags":[{"key":"no","value":"1"}]}`, "", ""},
		{`POST runs/log-batch {"run_id":"$RUN","params":[{"key":"no","value":"1"}],"metrics":[{"key":"no","value":1,"timestamp":-1}]}`, "", ""},
		{`POST runs/log-batch {"run_id":"$RUN","params":[{"key":"both","value":"{6001}"}],"tags":[{"key":"both","value":"{8001}"}]}`, "", ""},
		{`POST runs/log-batch {"run_id":"$RUN","params":[{"value":"no key"}]}`, "", ""},
		{`POST runs/log-batch {"run_id":"$RUN","x":"{1000001}"}`, "", ""},

		{`POST runs/log-inputs {"run_id":"$RUN"}`, "", ""},
		{`POST runs/log-inputs {"run_id":"none"}`, "", ""},
		{`POST runs/log-inputs {"run_id":"$RUN","datasets":[{"dataset":{"name":"{500}","digest":"{36}","source_type":"t","source":"{65535}"}}]}`, "", ""},
		{`POST runs/log-inputs {"run_id":"$RUN","datasets":[{"dataset":{"name":"{501}","digest":"d","source_type":"t","source":"s"}}]}`, "", ""},
		{`POST runs/log-inputs {"run_id":"$RUN","datasets":[{"dataset":{"name":"n","digest":"{37}","source_type":"t","source":"s"}}]}`, "", ""},
		{`POST runs/log-inputs {"run_id":"$RUN","datasets":[{"dataset":{"name":"n","digest":"d","source_type":"t","source":"{65536}"}}]}`, "", ""},
		{`POST runs/log-inputs {"run_id":"$RUN","datasets":[{"dataset":{"name":"n","digest":"d","source_type":"t","source":"s"},"tags":[{"key":"{256}","value":"v"}]}]}`, "", ""},
		{`POST runs/log-inputs {"run_id":"$RUN","datasets":[{"dataset":{"name":"n","digest":"d","source_type":"t","source":"s"},"tags":[{"key":"k","value":"{501}"}]}]}`, "", ""},
		{`POST runs/log-inputs {"run_id":"$RUN","datasets":[{"dataset":{"name":"n","source_type":"t","source":"s"}}]}`, invalidParameter, leftOut},
		{`POST runs/outputs {"run_id":"none","models":[]}`, "", ""},

		{`POST runs/search {"experiment_ids":["$E"],"max_results":0}`, "", ""},
		{`POST runs/search {"experiment_ids":["$E"],"max_results":50000}`, "", ""},
		{`POST runs/search {"experiment_ids":["$E"],"max_results":50001}`, "", ""},
		{`POST runs/search {"experiment_ids":["$E"],"page_token":"x"}`, "", ""},
		{`POST runs/search {"experiment_ids":["$E"],"page_token":"eyJvZmZzZXQiOiA1fQ=="}`, invalidParameter, tokens},
		{`POST runs/search {}`, "", ""},
		{`POST runs/search {"experiment_ids":["999999"]}`, "", ""},
		{`POST runs/search {"experiment_ids":[""]}`, "", ""},
		{`POST runs/search {"experiment_ids":["none"]}`, ok, idsOf},
		{`POST runs/search {"experiment_ids":["$E"],"filter":"params.p > 'a'"}`, "", ""},
		{`POST runs/search {"experiment_ids":["$E"],"filter":"metrics.m LIKE '%'"}`, "", ""},
		{`POST runs/search {"experiment_ids":["$E"],"filter":"metrics.m > 1 OR params.p = '1'"}`, ok, filters},
		{`POST runs/search {"experiment_ids":["$E"],"order_by":["metrics.m FOO"]}`, "", ""},
		{"GET metrics/get-history?run_id=$RUN", "", ""},
		{"GET metrics/get-history?run_id=$RUN&metric_key=none", "", ""},
		{"GET metrics/get-history?run_id=$RUN&metric_key=m&max_results=0", "", ""},
		{"GET metrics/get-history?run_id=$RUN&metric_key=m&page_token=x", "", ""},
		{"GET metrics/get-history?run_id=none&metric_key=m", notFound, unknown},
		{"GET metrics/get-history-bulk-interval?run_ids=$RUN&metric_key=m&max_results=2501", "", ""},
		{"GET metrics/get-history-bulk-interval?run_ids=$RUN&metric_key=m&start_step=5&end_step=1", "", ""},
		{"GET metrics/get-history-bulk-interval?metric_key=m" + strings.Repeat("&run_ids=$RUN", 101), "", ""},

		{`POST registered-models/create {"name":""}`, "", ""},
		{`POST registered-models/create {"name":"a/b"}`, "", ""},
		{`POST registered-models/create {"name":"a:b"}`, "", ""},
		{`POST registered-models/create {"name":".."}`, "", ""},
		{`POST registered-models/create {"name":"a b é日.c"}`, "", ""},
		{`POST registered-models/create {"name":"{256}"}`, "", ""},
		{`POST registered-models/create {"name":"{257}"}`, invalidParameter, bounds},
		{`POST registered-models/create {"name":"m"}`, "", ""},
		{`PATCH registered-models/update {"name":"m","description":"{5000}"}`, "", ""},
		{`PATCH registered-models/update {"name":"m","description":"{5001}"}`, invalidParameter, describe},
		{`POST registered-models/set-tag {"name":"m","key":"{251}","value":"v"}`, "", ""},
		{`POST registered-models/set-tag {"name":"m","key":"k","value":"{100000}"}`, "", ""},
		{`POST registered-models/set-tag {"name":"m","key":"k","value":"{100001}"}`, "", ""},
		{`DELETE registered-models/delete-tag {"name":"m","key":"none"}`, "", ""},
		{"GET registered-models/get?name=none", "", ""},
		{"GET registered-models/search?max_results=1000", "", ""},
		{"GET registered-models/search?max_results=1001", "", ""},
		{"GET registered-models/search?max_results=0", invalidParameter, searches},
		{"GET registered-models/search?page_token=x", "", ""},
		{`POST registered-models/rename {"name":"m","new_name":""}`, "", ""},
		{`POST registered-models/rename {"name":"none","new_name":"x"}`, "", ""},
		{`POST model-versions/create {"name":"m"}`, "", ""},
		{`POST model-versions/create {"name":"none","source":"s3://b/x"}`, "", ""},
		{`POST model-versions/create {"name":"m","source":"s3://b"}`, "", ""},
		{`POST model-versions/create {"name":"m","source":"/etc/passwd"}`, "", ""},
		{`POST model-versions/create {"name":"m","source":"s3://b/%2e%2e/x"}`, "", ""},
		{`POST model-versions/create {"name":"m","source":"s3://b/x","run_id":"none"}`, "", ""},
		{`POST model-versions/create {"name":"m","source":"s3://b/x","model_id":"none"}`, "", ""},
		{`POST model-versions/create {"name":"m","source":"s3://b/x","description":"{5001}"}`, invalidParameter, describe},
		{`POST model-versions/create {"name":"m","source":"s3://b/{2042}"}`, invalidParameter, bounds},
		{`POST model-versions/create {"name":"m","source":"http://h/x"}`, ok, sources},
		{`POST model-versions/create {"name":"m","source":"runs:/$RUN/x"}`, ok, runOf},
		{`POST model-versions/set-tag {"name":"m","version":"1","key":"k","value":"{100001}"}`, "", ""},
		{"GET model-versions/get?name=m&version=99", "", ""},
		{"GET model-versions/get?name=m&version=a", "", ""},
		{"GET model-versions/search?max_results=200000", "", ""},
		{"GET model-versions/search?max_results=200001", "", ""},
		{`POST model-versions/transition-stage {"name":"m","version":"1","stage":"Foo","archive_existing_versions":false}`, "", ""},
		{`POST registered-models/alias {"name":"m","alias":"","version":"1"}`, "", ""},
		{`POST registered-models/alias {"name":"m","alias":"a b","version":"1"}`, "", ""},
		{`POST registered-models/alias {"name":"m","alias":"é日_-1","version":"1"}`, "", ""},
		{`POST registered-models/alias {"name":"m","alias":"{255}","version":"1"}`, "", ""},
		{`POST registered-models/alias {"name":"m","alias":"{256}","version":"1"}`, "", ""},
		{`POST registered-models/alias {"name":"m","alias":"Latest","version":"1"}`, "", ""},
		{`POST registered-models/alias {"name":"m","alias":"V12","version":"1"}`, "", ""},
		{`POST registered-models/alias {"name":"m","alias":"a","version":"99"}`, "", ""},
		{`POST registered-models/alias {"name":"m","alias":"a","version":"x"}`, "", ""},
		{"GET registered-models/alias?name=m&alias=none", "", ""},
		{`DELETE registered-models/alias {"name":"m","alias":"none"}`, "", ""},

		{`POST logged-models {"name":"l"}`, "", ""},
		{`POST logged-models {"experiment_id":"999999","name":"l"}`, "", ""},
		{`POST logged-models {"experiment_id":"$E","name":""}`, "", ""},
		{`POST logged-models {"experiment_id":"$E","name":"a/b"}`, "", ""},
		{`POST logged-models {"experiment_id":"$E","name":"{500}"}`, "", ""},
		{`POST logged-models {"experiment_id":"$E","name":"{501}"}`, invalidParameter, bounds},
		{`POST logged-models/$MODEL/params {"model_id":"$MODEL","params":[{"key":"{251}","value":"v"}]}`, invalidParameter, bounds},
		{`POST logged-models/$MODEL/params {"model_id":"$MODEL","params":[{"key":"a","value":"{6001}"}]}`, "", ""},
		{`POST logged-models/search {"experiment_ids":["$E"],"max_results":0}`, "", ""},
		{`POST logged-models/search {"experiment_ids":["$E"],"max_results":50001}`, "", ""},
		{`POST logged-models/search {"experiment_ids":["$E"],"max_results":-1}`, invalidParameter, searches},
		{`POST logged-models/search {}`, "", ""},
		{"GET logged-models/none", "", ""},

		{"GET artifacts/list?run_id=$RUN&path=..", "", ""},
		{"GET artifacts/list?run_id=$RUN&path=/etc", "", ""},
		{"GET artifacts/list?run_id=$RUN&path=none", "", ""},
		{"GET artifacts/list?run_id=none", "", ""},
		{"GET artifacts/list?run_id=$RUN&path=a//b", invalidParameter, paths},
	}
	for _, key := range []string{"", "{250}", "{251}", "a/b", "a b", "a:b", "é日", " "} {
		list = append(list, naming(key, ask{})...)
	}
	for _, key := range []string{"a#b", "a'b", "../a", "a//b", "."} {
		list = append(list, naming(key, ask{ours: ok, row: names})...)
	}
	return list
}

// naming gives requests that give that name to something.
func naming(key string, like ask) []ask {
	list := []ask{like, like, like, like}
	list[0].request = `POST runs/log-metric {"run_id":"$RUN","key":"` + key + `","value":1,"timestamp":1}`
	list[1].request = `POST runs/log-parameter {"run_id":"$RUN","key":"` + key + `","value":"1"}`
	list[2].request = `POST runs/set-tag {"run_id":"$RUN","key":"` + key + `","value":"1"}`
	list[3].request = `POST experiments/set-experiment-tag {"experiment_id":"$E","key":"` + key + `","value":"1"}`
	return list
}

// TestAnswersOfMLflow sends the same requests to MLflow's own server: what one takes the
// other takes, and they refuse by the same error code, but for what the documents name.
func TestAnswersOfMLflow(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts MLflow's server: left out in short mode")
	}
	theirs := peer(t)
	ours := serve(t, nil)
	stageOurs, stageTheirs := ours.stage(), theirs.stage()
	documents, err := os.ReadFile("../../docs/mlflow.md")
	require.NoError(t, err)
	for _, a := range asks() {
		our, their := a.outcome(ours, stageOurs), a.outcome(theirs, stageTheirs)
		request := cut(a.request, 200)
		if a.row == "" {
			assert.Equal(t, their, our, "%s", request)
			continue
		}
		assert.Equal(t, a.ours, our, "%s", request)
		assert.NotEqual(t, our, their, "there is no difference any more: %s", request)
		assert.True(t, bytes.Contains(documents, []byte("\n| "+a.row+" |")), "the documents don't name %q", a.row)
	}
	compareLogged(t, ours, theirs, stageOurs("$RUN"), stageTheirs("$RUN"))
}

// runData gives what was logged to the run.
func (s *served) runData(id string) runData {
	s.t.Helper()
	var resp struct {
		Run struct {
			Data runData `json:"data"`
		} `json:"run"`
	}
	require.NoError(s.t, decode(s.send(http.MethodGet, "/api/2.0/mlflow/runs/get?run_id="+id, "", "").body, &resp))
	return resp.Run.Data
}

// compareLogged compares what was kept of what both have taken.
func compareLogged(t *testing.T, ours, theirs *served, ourRun, theirRun string) {
	t.Helper()
	our, their := ours.runData(ourRun), theirs.runData(theirRun)
	require.Subset(t, our.Params, their.Params)
	require.Subset(t, our.Tags, their.Tags)
	require.Greater(t, len(their.Params), 100)
	require.Greater(t, len(their.Metrics), 1000)
	kept := map[string]metric{}
	for _, m := range our.Metrics {
		kept[m.Key] = m
	}
	for _, m := range their.Metrics {
		have, taken := kept[m.Key]
		if !taken {
			continue // of the wrong type, or with a time that nobody can store
		}
		if v := float64(m.Value); math.Abs(v) == math.MaxFloat64 { // its databases have no infinity
			m.Value = double(math.Inf(int(math.Copysign(1, v))))
		}
		require.Equal(t, fmt.Sprint(m), fmt.Sprint(have)) // NaN is not equal to itself
	}
}
