package collect

import (
	"encoding/json"
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

// ServeHTTP takes rows as azureml-ai-monitoring sends them: JSON records in the
// body, what belongs to them in headers that begin with "ce-". It has sampled
// them itself, by what MonitoringConfig told it.
func (c *Collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != LogPath || r.Method != http.MethodPost {
		http.Error(w, "POST collected rows to "+LogPath, http.StatusNotFound)
		return
	}
	collection, ok := strings.CutPrefix(r.Header.Get("Ce-Type"), eventPrefix)
	if _, known := c.cfg.Percent[strings.ToLower(collection)]; !ok || !known {
		http.Error(w, "the collection is not enabled", http.StatusBadRequest)
		return
	}
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		http.Error(w, "send JSON: leave AZUREML_MDC_FORMAT_COMPACT off", http.StatusUnsupportedMediaType)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxRows))
	if err != nil {
		http.Error(w, "the body can't be read, or is too large", http.StatusRequestEntityTooLarge)
		return
	}
	at := time.Now()
	if seconds, err := strconv.ParseInt(r.Header.Get("Ce-Time"), 10, 64); err == nil {
		at = time.Unix(seconds, 0)
	}
	correlation := r.Header.Get("Ce-X-Request-Id")
	if !c.Add(Rows{Collection: strings.ToLower(collection), CorrelationID: correlation, Time: at, JSON: body}) {
		http.Error(w, "there is no room: the datastore is slow or does not answer", http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// MonitoringConfig gives the file that AZUREML_MDC_CONFIG_PATH names for
// azureml-ai-monitoring.
func MonitoringConfig(percent map[string]float64) []byte {
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
	data, _ := json.Marshal(map[string]any{"runMode": "cloud", "collections": all}) // it can be nothing else
	return data
}
