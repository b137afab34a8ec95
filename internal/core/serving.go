package core

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/record"
)

// EndpointPrefix is the prefix of the records of endpoints. It is here, below
// the packages endpoint and model, because both look: a model that is served
// can't be deleted, and one that was deleted can't be served.
const EndpointPrefix = "endpoints/"

// HostBeat is how often a process that serves an endpoint writes its record.
const HostBeat = 10 * time.Second

// hostSilence is after how much silence a process of another machine is taken
// for gone.
const hostSilence = 12 * HostBeat

// HostPrefix is the prefix of the records of the processes that serve an
// endpoint.
func HostPrefix(endpoint string) string { return EndpointPrefix + endpoint + "/hosts/" }

// EndpointHosts yields the processes that serve the endpoint, those that ended
// without saying so, and those of earlier endpoints of that name.
func EndpointHosts(ctx context.Context, h Handle, endpoint string) iter.Seq2[Stored[record.EndpointHost], error] {
	return List[record.EndpointHost](ctx, h, HostPrefix(endpoint), nil)
}

// HostGone tells whether the serving process is known to have ended.
func (h Handle) HostGone(host *record.EndpointHost) bool { return h.HostGoneSince(host, h.Now()) }

// HostGoneSince is HostGone of a record that was read then, which says nothing of
// what was heard of the process later.
func (h Handle) HostGoneSince(host *record.EndpointHost, read time.Time) bool {
	return h.Gone(&host.Owner) || read.Sub(host.Modified) > hostSilence
}

// ServedBy gives the name of an endpoint that serves, or is about to serve, the model of that ID, ""
// when there is none. One whose processes are gone without a stop is to be served again.
func ServedBy(ctx context.Context, h Handle, modelID string) (string, error) {
	for name, err := range h.Folders(ctx, EndpointPrefix) { // those that are served have a folder
		if err != nil {
			return "", err
		}
		stored, err := Get[record.Endpoint](ctx, h, EndpointPrefix+name+".json")
		if errors.Is(err, azml.ErrNotFound) {
			continue
		}
		if err != nil {
			return "", err
		}
		if !slices.Contains(stored.Value.Models(), modelID) {
			continue
		}
		served, err := isServed(ctx, h, &stored.Value)
		if served || err != nil {
			return name, err
		}
	}
	return "", nil
}

func isServed(ctx context.Context, h Handle, endpoint *record.Endpoint) (bool, error) {
	for host, err := range EndpointHosts(ctx, h, endpoint.Name) {
		if err != nil {
			return false, err
		}
		if host.Value.Endpoint == endpoint.ID {
			return true, nil
		}
	}
	return false, nil
}
