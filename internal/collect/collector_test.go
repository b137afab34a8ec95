package collect

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
)

// folder is where files are written in the tests.
type folder struct {
	mu    sync.Mutex
	files map[string]string
	down  bool
	tries int
}

func (f *folder) write(_ context.Context, path string, content []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tries++
	if f.down {
		return errors.New("it is down")
	}
	if f.files == nil {
		f.files = map[string]string{}
	}
	f.files[path] = string(content)
	return nil
}

func (f *folder) set(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
}

func (f *folder) tried() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tries
}

func start(t *testing.T, f *folder, change func(*Config)) *Collector {
	t.Helper()
	cfg := Config{Percent: map[string]float64{"inputs": 100, "half": 50}, Name: "h", Write: f.write, Every: time.Hour,
		Origin: Origin{Workspace: "ws", Service: "churn", Deployment: "blue", Model: "m", Version: "7"}}
	if change != nil {
		change(&cfg)
	}
	c, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = c.Close(ctx)
	})
	return c
}

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func TestTables(t *testing.T) {
	t.Parallel()
	f := &folder{}
	c := start(t, f, nil)
	for i, data := range []string{`{"age": 1, "name": "a\"b", "more": [1, {"x": null}]}`, `[{"age": 2.50, "name": ""}, {"name": null, "age": 1e400, "more": true}]`,
		`{"age": 3, "name": "x"}`, `{"age":4,"name":"y, z","more":"a\nb"}`} {
		require.True(t, c.Add(Rows{Collection: "inputs", CorrelationID: fmt.Sprint("c", i), RequestID: fmt.Sprint("r", i), Time: noon, JSON: []byte(data)}))
	}
	require.True(t, c.Add(Rows{Collection: "inputs", Time: noon.Add(12 * time.Hour), JSON: []byte(`{"age": 9}`)}))
	require.True(t, c.Add(Rows{Collection: "inputs", Time: noon, JSON: []byte(`[]`)}), "no rows at all")
	require.False(t, c.Add(Rows{Collection: "outputs", Time: noon, JSON: []byte(`{}`)}), "it is not collected")
	require.NoError(t, c.Close(t.Context()))
	require.Equal(t, Stats{Collected: 6}, c.Stats())
	require.Len(t, f.files, 3)
	got := map[string][][]string{}
	for path, content := range f.files {
		rows, err := csv.NewReader(strings.NewReader(content)).ReadAll()
		require.NoError(t, err)
		got[path] = rows
	}
	common := func(i int) []string {
		return []string{fmt.Sprint("c", i), "2026-11-26T12:00:00Z", "1440", "ws", "churn", "blue", "m", "7", fmt.Sprint("r", i)}
	}
	require.Equal(t, [][]string{append(Columns[:len(Columns):len(Columns)], "age", "name", "more"), append(common(0), "1", `a"b`, `[1,{"x":null}]`),
		append(common(1), "2.50", "", ""), append(common(1), "1e400", "", "true"), append(common(3), "4", "y, z", "a\nb")},
		got["ws/churn/m/7/inputs/2026/11/26/inputs-h-000001.csv"])
	require.Equal(t, append(common(2), "3", "x"), got["ws/churn/m/7/inputs/2026/11/26/inputs-h-000002.csv"][1])
	require.Contains(t, got, "ws/churn/m/7/inputs/2026/11/27/inputs-h-000003.csv")
}

func TestUnreadableRows(t *testing.T) {
	t.Parallel()
	f := &folder{}
	c := start(t, f, nil)
	for _, data := range []string{``, `1`, `[1]`, `[[]]`, `{"a":`, `{"a":1}{}`, `[{"a":1}`, `null`} {
		require.True(t, c.Add(Rows{Collection: "inputs", Time: noon, JSON: []byte(data)}), "it is read later")
	}
	require.NoError(t, c.Close(t.Context()))
	require.Equal(t, Stats{Dropped: 8}, c.Stats())
	require.Empty(t, f.files)
}

// A store that does not answer costs what there is no room for, and nothing else.
func TestStoreDown(t *testing.T) {
	t.Parallel()
	f := &folder{down: true}
	const room = 10
	data := []byte(`{"a": 1}`)
	c := start(t, f, func(cfg *Config) { cfg.Every, cfg.Capacity = time.Millisecond, room*(len(data)+overhead) })
	for i := range 2 * room {
		require.Equal(t, i < room, c.Add(Rows{Collection: "inputs", Time: noon, JSON: data}), "row %d", i)
	}
	require.Eventually(t, func() bool { return f.tried() > 1 }, 10*time.Second, time.Millisecond)
	f.set(false)
	require.Eventually(t, func() bool { return c.Add(Rows{Collection: "inputs", Time: noon, JSON: data}) }, 10*time.Second, time.Millisecond,
		"there is room again")
	require.NoError(t, c.Close(t.Context()))
	require.EqualValues(t, room+1, c.Stats().Collected)
	require.GreaterOrEqual(t, c.Stats().Dropped, int64(room))
	rows := 0
	for _, content := range f.files {
		rows += strings.Count(content, "\n") - 1
	}
	require.Equal(t, room+1, rows, "what was taken is written once")
}

func TestClosedWhileTheStoreIsDown(t *testing.T) {
	t.Parallel()
	f := &folder{down: true}
	c := start(t, f, nil)
	require.True(t, c.Add(Rows{Collection: "inputs", Time: noon, JSON: []byte(`{}`)}))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, c.Close(ctx), azml.ErrUnavailable)
	require.Equal(t, Stats{Dropped: 1}, c.Stats())
	require.False(t, c.Add(Rows{Collection: "inputs", Time: noon, JSON: []byte(`{}`)}), "it is closed")
}

func TestSamples(t *testing.T) {
	t.Parallel()
	c := start(t, &folder{}, func(cfg *Config) { cfg.Percent["other"] = 50 })
	kept := 0
	const requests = 10000
	for i := range requests {
		id := fmt.Sprint("request-", i)
		require.True(t, c.Wants("inputs", id))
		require.False(t, c.Wants("none", id))
		require.Equal(t, c.Wants("half", id), c.Wants("other", id), "a request's collections go together")
		if c.Wants("half", id) {
			kept++
		}
	}
	require.InDelta(t, requests/2, kept, requests*0.03)
}

func TestCheckPercent(t *testing.T) {
	t.Parallel()
	for name, percent := range map[string]float64{"": 1, "A": 1, "a/b": 1, "..": 1, "a": 0, "b": 101, "c": -1} {
		_, err := New(Config{Percent: map[string]float64{name: percent}})
		require.ErrorIs(t, err, azml.ErrInvalid, "%q: %v", name, percent)
	}
}

func TestListen(t *testing.T) {
	t.Parallel()
	f := &folder{}
	c := start(t, f, nil)
	for name, test := range map[string]struct {
		method, path, kind, content, body string
		code                              int
	}{
		"rows":             {"POST", LogPath, "azureml.inference.inputs", "application/json", `[{"a":1}]`, 200},
		"other spelling":   {"POST", LogPath, "azureml.inference.INPUTS", "application/json", `[{"a":1}]`, 200},
		"not collected":    {"POST", LogPath, "azureml.inference.x", "application/json", `[{"a":1}]`, 400},
		"another event":    {"POST", LogPath, "inputs", "application/json", `[{"a":1}]`, 400},
		"text":             {"POST", LogPath, "azureml.inference.inputs", "application/octet-stream", "a 1", 415},
		"another method":   {"GET", LogPath, "azureml.inference.inputs", "application/json", "", 404},
		"another path":     {"POST", "/", "azureml.inference.inputs", "application/json", `[{"a":1}]`, 404},
		"much too large":   {"POST", LogPath, "azureml.inference.inputs", "application/json", strings.Repeat(" ", MaxRows+1), 413},
		"nothing of a row": {"POST", LogPath, "azureml.inference.inputs", "application/json", "7", 200},
	} {
		request := httptest.NewRequestWithContext(t.Context(), test.method, test.path, strings.NewReader(test.body))
		request.Header.Set("Ce-Type", test.kind)
		request.Header.Set("Content-Type", test.content)
		request.Header.Set("Ce-Time", "1795694400")
		answer := httptest.NewRecorder()
		c.ServeHTTP(answer, request)
		require.Equal(t, test.code, answer.Code, name)
	}
	require.NoError(t, c.Close(t.Context()))
	require.Equal(t, Stats{Collected: 2, Dropped: 1}, c.Stats())
	require.Len(t, f.files, 1)
}

// post sends rows as a script's stand-in does, and gives the status.
func post(c *Collector, head, body string) int {
	request := httptest.NewRequest("POST", RowsPath, strings.NewReader(body))
	request.Header.Set(RowsHeader, head)
	answer := httptest.NewRecorder()
	c.ServeHTTP(answer, request)
	return answer.Code
}

// Rows of scripts say what they belong to, each for itself, but where they come from
// says the stand-in.
func TestRowsOfScripts(t *testing.T) {
	t.Parallel()
	f := &folder{}
	c := start(t, f, nil)
	require.Equal(t, 200, post(c, `{"collection": "inputs", "file": "mine", "workspace": "ws", "service": "churn", "model": "other", "version": "default", "request_id": "r", "time": "2026-11-26T12:00:00Z", "dropped": 2}`,
		"a,a,$aml_dc_correlation_id,$aml_dc_scoring_timestamp,$aml_dc_boundary,$aml_workspace,$aml_service_name,$aml_model_name,$aml_model_version,$aml_request_id\r\n"+
			"1,\"x\ny\",c1,2026-11-25T01:02:03.5,60,sub/group/far,else,m,3,r1\r\n2,,c2,yesterday,,,,,,\r\n3\r\n"))
	for name, head := range map[string]string{"no header": ``, "not collected": `{"collection": "outputs"}`, "no file's name": `{"collection": "inputs", "file": "a/b"}`,
		"no folder's name": `{"collection": "inputs", "model": ".."}`} {
		require.Equal(t, 400, post(c, head, "a\n1\n"), name)
	}
	require.Equal(t, 413, post(c, `{"collection": "inputs"}`, strings.Repeat("a", MaxRows+1)))
	require.NoError(t, c.Close(t.Context()))
	require.Equal(t, Stats{Collected: 1, Dropped: 2}, c.Stats())
	head := strings.Join(Columns, ",") + ",a,a.1\n"
	require.Equal(t, map[string]string{
		"ws/churn/other/default/inputs/2026/11/26/mine-h-000001.csv": head + "c1,2026-11-25T01:02:03.5Z,1440,ws,churn,blue,other,default,r1,1,\"x\ny\"\n" +
			"c2,2026-11-26T12:00:00Z,1440,ws,churn,blue,other,default,r,2,\n" +
			",2026-11-26T12:00:00Z,1440,ws,churn,blue,other,default,r,3,\n",
	}, f.files)
}

// Columns that a client chose are data, whatever their names.
func TestRowsOfClients(t *testing.T) {
	t.Parallel()
	f := &folder{}
	c := start(t, f, nil)
	require.True(t, c.Add(Rows{Collection: "inputs", CorrelationID: "c", RequestID: "r", Time: noon, JSON: []byte(
		`[{"$aml_workspace": "far", "$aml_dc_scoring_timestamp": "2020-01-01T00:00:00", "$aml_workspace.1": "x"}, {"$aml_service_name": "../up", "$aml_request_id": "s"}]`)}))
	require.NoError(t, c.Close(t.Context()))
	own := "c,2026-11-26T12:00:00Z,1440,ws,churn,blue,m,7,r,"
	require.Equal(t, map[string]string{"ws/churn/m/7/inputs/2026/11/26/inputs-h-000001.csv": strings.Join(Columns, ",") +
		",$aml_workspace.1,$aml_dc_scoring_timestamp.1,$aml_workspace.1.1,$aml_service_name.1,$aml_request_id.1\n" +
		own + "far,2020-01-01T00:00:00,x,,\n" + own + ",,,../up,s\n"}, f.files)
}

// A call makes one file, and what would become much larger than it was is refused.
func TestManyPlaces(t *testing.T) {
	t.Parallel()
	f := &folder{}
	c := start(t, f, nil)
	const many = 5000
	var places, columns []string
	for i := range many {
		places = append(places, fmt.Sprintf(`{"$aml_model_name": "m%d"}`, i))
		columns = append(columns, fmt.Sprintf(`{"c%d": 1}`, i))
	}
	require.True(t, c.Add(Rows{Collection: "inputs", Time: noon, JSON: []byte("[" + strings.Join(places, ",") + "]")}))
	require.True(t, c.Add(Rows{Collection: "inputs", Time: noon, JSON: []byte("[" + strings.Join(columns, ",") + "]")}), "it is read later")
	require.Equal(t, 200, post(c, `{"collection": "inputs"}`, strings.Repeat(",", many)+strings.Repeat("\n1", many)), "it is read later")
	require.NoError(t, c.Close(t.Context()))
	require.Equal(t, Stats{Collected: 1, Dropped: 2}, c.Stats())
	require.Len(t, f.files, 1)
}

// What a store never takes holds up nothing else.
func TestRefusedFile(t *testing.T) {
	t.Parallel()
	f := &folder{}
	c := start(t, f, func(cfg *Config) {
		cfg.Write = func(ctx context.Context, path string, content []byte) error {
			if strings.Contains(path, "half") {
				return fmt.Errorf("%w: a bad name", azml.ErrInvalid)
			}
			return f.write(ctx, path, content)
		}
	})
	for _, name := range []string{"half", "inputs"} {
		require.True(t, c.Add(Rows{Collection: name, Time: noon, JSON: []byte(`{"a": 1}`)}))
	}
	require.NoError(t, c.Close(t.Context()))
	require.Equal(t, Stats{Collected: 1, Dropped: 1}, c.Stats())
	require.Len(t, f.files, 1)
}

// FuzzParse holds that rows are all as wide as the columns, or refused.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{`{"a":1}`, `[{"a":1},{"b":"x","a":null}]`, `[]`, `[1]`, `{"a":{"a":[1,2]}}`, "{\"\u0000\": 1}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, rows := range []Rows{{JSON: data}, {CSV: data}} {
			columns, records, err := parse(&rows)
			if err != nil {
				continue
			}
			for _, r := range records {
				if len(r) < len(columns) || len(r) > len(columns) && rows.CSV == nil {
					t.Fatalf("%d values of %d columns", len(r), len(columns))
				}
			}
		}
	})
}
