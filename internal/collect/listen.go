package collect

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// LogPath is where Azure ML's package azureml-ai-monitoring (1.0) posts to.
const LogPath = "/modeldata/log"

// eventPrefix begins the type of an event; the collection's name follows.
const eventPrefix = "azureml.inference."

// RowsPath is where the stand-in for azureml-monitoring posts to, which scripts in
// Python find: rows as CSV.
const RowsPath = "/modeldata/rows"

// RowsHeader has what belongs to them, as JSON.
const RowsHeader = "Azml-Rows"

// scriptRows is what belongs to rows that a script collects by the stand-in.
type scriptRows struct {
	Collection string    `json:"collection"`
	File       string    `json:"file"`
	Workspace  string    `json:"workspace"`
	Service    string    `json:"service"`
	Model      string    `json:"model"`
	Version    string    `json:"version"`
	RequestID  string    `json:"request_id"`
	Time       time.Time `json:"time"`
	// Dropped counts the calls before it that did not get here.
	Dropped int64 `json:"dropped"`
}

// ServeHTTP takes rows as Azure ML's package azureml-ai-monitoring and the stand-in for
// its first one send them. They have sampled them, by what MonitoringConfig told them.
func (c *Collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	read := map[string]func(*http.Request) (Rows, error){LogPath: c.monitored, RowsPath: c.fromScript}[r.URL.Path]
	if read == nil || r.Method != http.MethodPost {
		http.Error(w, "POST collected rows to "+LogPath, http.StatusNotFound)
		return
	}
	body, tooLarge := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxRows))
	rows, err := read(r)
	switch {
	case errors.Is(err, errNoJSON):
		http.Error(w, err.Error(), http.StatusUnsupportedMediaType)
		return
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	case tooLarge != nil:
		http.Error(w, "the body can't be read, or is too large", http.StatusRequestEntityTooLarge)
		return
	}
	if r.URL.Path == RowsPath {
		rows.CSV = body
	} else {
		rows.JSON = body
	}
	if !c.Add(rows) {
		http.Error(w, "there is no room: the datastore is slow or does not answer", http.StatusServiceUnavailable)
	}
}

var (
	errNotEnabled = errors.New("the collection is not enabled")
	errNoJSON     = errors.New("send JSON: leave AZUREML_MDC_FORMAT_COMPACT off")
)

// monitored reads what azureml-ai-monitoring says about rows, in headers that begin
// with "ce-".
func (c *Collector) monitored(r *http.Request) (Rows, error) {
	collection, ok := strings.CutPrefix(r.Header.Get("Ce-Type"), eventPrefix)
	rows := Rows{Collection: strings.ToLower(collection), CorrelationID: r.Header.Get("Ce-X-Request-Id"), Time: time.Now()}
	if _, known := c.cfg.Percent[rows.Collection]; !ok || !known {
		return Rows{}, errNotEnabled
	}
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		return Rows{}, errNoJSON
	}
	if seconds, err := strconv.ParseInt(r.Header.Get("Ce-Time"), 10, 64); err == nil {
		rows.Time = time.Unix(seconds, 0)
	}
	return rows, nil
}

// fromScript reads what the stand-in says about rows.
func (c *Collector) fromScript(r *http.Request) (Rows, error) {
	var said scriptRows
	if err := json.Unmarshal([]byte(r.Header.Get(RowsHeader)), &said); err != nil {
		return Rows{}, fmt.Errorf("header %s: %w", RowsHeader, err)
	}
	c.dropped(said.Dropped)
	if _, known := c.cfg.Percent[said.Collection]; !known {
		return Rows{}, errNotEnabled
	}
	rows := Rows{Collection: said.Collection, File: said.File, RequestID: said.RequestID, Time: said.Time,
		Origin: Origin{Workspace: said.Workspace, Service: said.Service, Deployment: c.cfg.Origin.Deployment, Model: said.Model, Version: said.Version}}
	return rows, rows.check()
}

// MonitoringConfig gives the file that AZUREML_MDC_CONFIG_PATH names for
// azureml-ai-monitoring and the stand-in, which also gets the versions of the models by
// their names.
func MonitoringConfig(percent map[string]float64, versions map[string]string) []byte {
	type collection struct {
		Enabled bool    `json:"enabled"`
		Rate    float64 `json:"sampleRatePercentage"`
	}
	all := map[string]collection{}
	for name, p := range percent {
		if name != Request && name != Response {
			all[name] = collection{true, p}
		}
	}
	data, _ := json.Marshal(map[string]any{"runMode": "cloud", "collections": all, "models": versions}) // it can be nothing else
	return data
}
