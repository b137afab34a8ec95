package endpoint

import (
	"context"
	"path"
	"slices"
	"strings"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// logKind is one of the logs of an endpoint: a folder, in which each process that
// serves the endpoint writes objects, one after the other.
type logKind struct {
	folder, extension string
	none              string // why there is nothing of it
}

var (
	serviceLog = logKind{"logs", ".txt", "it was never served"}
	requestLog = logKind{"requests", ".jsonl", "it has got no request yet"}
)

func (k logKind) prefix(endpoint string) string {
	return core.EndpointPrefix + endpoint + "/" + k.folder + "/"
}

// newKey gives the key of an object that a host begins now: keys sort as the objects
// begin.
func (k logKind) newKey(h core.Handle, endpoint, host string) string {
	return k.prefix(endpoint) + h.Now().Format("20060102T150405.000000000Z") + "-" + host + k.extension
}

// hostOf gives the ID of the host that writes the object of a log.
func hostOf(key string) string {
	_, host, _ := strings.Cut(strings.TrimSuffix(path.Base(key), path.Ext(key)), "-")
	return host
}

// logKeys gives the objects of all logs of an endpoint.
func logKeys(ctx context.Context, h core.Handle, endpoint string) ([]string, error) {
	service, err := serviceLog.keys(ctx, h, endpoint)
	if err != nil {
		return nil, err
	}
	requests, err := requestLog.keys(ctx, h, endpoint)
	return append(service, requests...), err
}

// keys gives the objects in the order in which they were begun. One may have further
// parts; the first one stands for it.
func (k logKind) keys(ctx context.Context, h core.Handle, endpoint string) ([]string, error) {
	var keys []string
	for info, err := range h.Objects().List(ctx, &backend.ListOptions{Prefix: k.prefix(endpoint)}) {
		if err != nil {
			return nil, err
		}
		if strings.HasSuffix(info.Key, k.extension) {
			keys = append(keys, info.Key)
		}
	}
	return keys, nil
}

// keepLogs is how many objects of each log an endpoint has at most before another host
// begins one, and keepOwn how many a host keeps of its own.
const (
	keepLogs = 9
	keepOwn  = 8
)

// dropLogs removes the oldest objects of hosts that have ended.
func (c *Client) dropLogs(ctx context.Context, endpoint string) error {
	hosts, err := c.hosts(ctx, endpoint)
	if err != nil {
		return err
	}
	for _, kind := range []logKind{serviceLog, requestLog} {
		keys, err := kind.keys(ctx, c.h, endpoint)
		if err != nil {
			return err
		}
		keys = slices.DeleteFunc(keys, func(key string) bool {
			return slices.ContainsFunc(hosts, func(host record.EndpointHost) bool { return host.ID == hostOf(key) })
		})
		for _, key := range keys[:max(0, len(keys)-keepLogs)] {
			if err := c.removeBelow(ctx, key); err != nil {
				return err
			}
		}
	}
	return nil
}
