package endpoint

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/datastore"
	"github.com/azml-go/azml/internal/collect"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/scoring"
	"github.com/azml-go/azml/model"
)

// The collections that need no code.
const (
	// CollectRequest are the bodies of requests to /score, in the column "body".
	CollectRequest = collect.Request
	// CollectResponse are the bodies of their answers, in the columns "body" and
	// "status".
	CollectResponse = collect.Response
)

// Collection says what a deployment keeps of its requests, as CSV files in
// folders of days: <Path>/<workspace>/<endpoint>/<model>/<version>/<collection>/<yyyy>/<MM>/<dd>,
// with Azure ML's columns $aml_dc_correlation_id, $aml_dc_scoring_timestamp and the
// like before those of the rows. A dataset reads them. Files are written every ten
// seconds. Scoring never waits for it: while the datastore does not answer, 16 MiB
// are kept, and what comes then is dropped and counted.
type Collection struct {
	// Percent is how much of each collection is kept, by its name: of
	// CollectRequest and CollectResponse what clients sent and got, of other names
	// what the Go function gives to Collect or the script to a Collector of the
	// package azureml-ai-monitoring, or to a ModelDataCollector of azureml-monitoring,
	// whose designations are the names. More than 0, at most 100.
	Percent map[string]float64
	// Datastore is the name of the datastore, the default one when empty.
	Datastore string
	// Path is the folder there, "modeldata" when empty.
	Path string
}

const defaultCollectPath = "modeldata"

func (c *Collection) check() error {
	if c == nil {
		return nil
	}
	if len(c.Percent) == 0 {
		return fmt.Errorf("%w: Collect names no collection: set Percent", azml.ErrInvalid)
	}
	if err := collect.CheckPercent(c.Percent); err != nil {
		return err
	}
	if c.Path == "" {
		return nil
	}
	if err := backend.ValidKey(c.Path); err != nil {
		return fmt.Errorf("path of collected data: %w", err)
	}
	return nil
}

func (c *Collection) record() *record.EndpointCollection {
	if c == nil {
		return nil
	}
	return &record.EndpointCollection{Percent: maps.Clone(c.Percent), Datastore: c.Datastore, Path: c.Path}
}

// CollectOptions are the options of Collect.
type CollectOptions struct {
	// CorrelationID is put before the request's ID in the rows' correlation ID.
	CorrelationID string
}

// Collect keeps rows of the request that ctx, a Handler's or that of an
// http.Request of HTTP, belongs to: a struct or map, or a slice of them, which
// encoding/json makes objects of, whose members become columns. It
// gives the correlation ID that joins them with other collections' rows of the
// request, and whether they were kept: they are not when the deployment does not
// collect it, the request is not in the sample, there is no room, or the rows can't
// be encoded. Members with the names of Azure ML's columns, such as $aml_model_name,
// get others ($aml_model_name.1), for rows are often made of what clients send. It
// never waits.
func Collect(ctx context.Context, collection string, rows any, opts *CollectOptions) (correlationID string, kept bool) {
	from, _ := ctx.Value(scopeKey{}).(*scope)
	if from == nil {
		return "", false
	}
	id := from.request
	if opts != nil && opts.CorrelationID != "" {
		id = opts.CorrelationID + "-" + id
	}
	if !from.collector.Wants(collection, from.request) {
		return id, false
	}
	data, err := json.Marshal(rows)
	return id, err == nil && from.collector.Add(collect.Rows{Collection: collection, CorrelationID: id, RequestID: from.request, Time: time.Now(), JSON: data})
}

type scopeKey struct{}

// scope is where the rows of a request go.
type scope struct {
	collector *collect.Collector
	request   string
}

// collecting is a scorer of a Go function that may call Collect.
type collecting struct {
	scoring.Scorer
	collector *collect.Collector
}

// Score scores with a context that Collect finds the request by.
func (c collecting) Score(ctx context.Context, req *scoring.Request) (*scoring.Response, error) {
	return c.Scorer.Score(context.WithValue(ctx, scopeKey{}, &scope{c.collector, req.ID}), req)
}

// collection collects for one deployment in this process.
type collection struct {
	*collect.Collector
	percent  map[string]float64
	versions map[string]string // of the models, by name
	listener *http.Server      // for scripts; nil for Go functions
	address  string
}

// newCollection begins to collect for a deployment.
func (s *host) newCollection(ctx context.Context, d *record.EndpointDeployment, models []*model.Model) (*collection, error) {
	store, err := datastore.Lookup(ctx, s.c.h, d.Collect.Datastore)
	if err != nil {
		return nil, fmt.Errorf("datastore of collected data: %w", err)
	}
	origin := collect.Origin{Workspace: s.c.h.Workspace().Name, Service: s.name, Deployment: d.Name}
	if len(models) > 0 {
		origin.Model, origin.Version = models[0].Name(), strconv.Itoa(models[0].Version())
	}
	root := d.Collect.Path
	if root == "" {
		root = defaultCollectPath
	}
	collector, err := collect.New(collect.Config{Percent: d.Collect.Percent, Origin: origin, Name: s.status.ID + d.ID, Logger: s.logger(),
		Write: func(ctx context.Context, name string, content []byte) error {
			_, err := store.Write(ctx, path.Join(root, name), bytes.NewReader(content), &datastore.WriteOptions{Overwrite: true})
			return err
		}})
	if err != nil {
		return nil, err
	}
	one := &collection{Collector: collector, percent: d.Collect.Percent, versions: newest(models)}
	if d.Kind != kindHandler {
		if err := one.listen(ctx); err != nil {
			return nil, errors.Join(err, one.close(ctx))
		}
	}
	return one, nil
}

// newest gives the newest version of each model.
func newest(models []*model.Model) map[string]string {
	versions := map[string]int{}
	for _, m := range models {
		versions[m.Name()] = max(versions[m.Name()], m.Version())
	}
	texts := map[string]string{}
	for name, version := range versions {
		texts[name] = strconv.Itoa(version)
	}
	return texts
}

// idleScripts is how long a script's connection is kept that sends nothing; without it,
// it would be as long as a request may take.
const idleScripts = 24 * time.Hour

// listen takes what Azure ML's packages for scripts send, on this machine only.
func (c *collection) listen(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("%w: %w", azml.ErrUnavailable, err)
	}
	c.address = listener.Addr().String()
	c.listener = &http.Server{Handler: c.Collector, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: idleScripts, MaxHeaderBytes: 16 << 10}
	go func() { _ = c.listener.Serve(listener) }() // it ends with close
	return nil
}

// variables gives the environment variables that those packages find their way by;
// their configuration is written into the folder.
func (c *collection) variables(dir string) (map[string]string, error) {
	file := filepath.Join(dir, "mdc-config.json")
	if err := os.WriteFile(file, collect.MonitoringConfig(c.percent, c.versions), 0o600); err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(c.address)
	return map[string]string{"AZUREML_MDC_CONFIG_PATH": file, "AZUREML_MDC_HOST": host, "AZUREML_MDC_PORT": port}, err
}

// observe keeps the bodies of a request and of its answer.
func (c *collection) observe(req *scoring.Request, resp *scoring.Response) {
	now := time.Now()
	for _, one := range []struct {
		collection string
		body       []byte
		status     int
	}{{CollectRequest, req.Body, 0}, {CollectResponse, resp.Body, resp.Status}} {
		if !c.Wants(one.collection, req.ID) {
			continue
		}
		row := struct {
			Body   string `json:"body"`
			Status int    `json:"status,omitempty"`
		}{strings.ToValidUTF8(string(one.body), "\uFFFD"), one.status}
		data, _ := json.Marshal(row) // texts and numbers are always JSON
		c.Add(collect.Rows{Collection: one.collection, CorrelationID: req.ID, RequestID: req.ID, Time: now, JSON: data})
	}
}

// observes tells whether bodies are collected.
func (c *collection) observes() bool {
	return slices.ContainsFunc([]string{CollectRequest, CollectResponse}, func(name string) bool { return c.percent[name] > 0 })
}

// close writes what was collected.
func (c *collection) close(ctx context.Context) error {
	var err error
	if c.listener != nil {
		err = c.listener.Shutdown(ctx)
	}
	return errors.Join(err, c.Close(ctx))
}
