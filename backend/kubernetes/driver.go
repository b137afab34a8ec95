package kubernetes

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Options are the options of New.
type Options struct {
	// Name keeps the jobs of drivers of one namespace apart; "azml" when empty.
	Name string
	// CacheDir is a folder of this machine for the programs that Install was given;
	// "azml/kubernetes" in the user's cache folder when empty.
	CacheDir string
	// Program gives the path of an azml program on this machine that runs on such a
	// platform, which is brought into pods. It is required for Start.
	Program func(ctx context.Context, on backend.Platform) (path string, err error)
	// Unpacker gives the path of azml-unpack on this machine for such a platform, with which
	// programs are in pods sooner. Nil, and ErrNotFound, is none: then they go as gzip packs
	// them where the image has that, and else as they are.
	Unpacker func(ctx context.Context, on backend.Platform) (path string, err error)
	// Pod, when it is set, changes the pod of each job before it is made, after
	// Target.PodPatch has. Its container is the first one.
	Pod func(*corev1.PodTemplateSpec)
	// Patience is for how long the starting of a job and the waiting for it go on
	// while the API server, or the registry of the job's image, does not answer; two
	// minutes when zero. A Job whose starting process has died ends after three times
	// that.
	Patience time.Duration
	// Logger is told of what works, but not as it should; nil discards it.
	Logger *slog.Logger
}

// Driver runs jobs in a namespace of a cluster. It implements backend.Compute and
// backend.Remote, is safe for concurrent use, and any number of drivers of the same
// name in any number of processes can use one namespace.
type Driver struct {
	target  Target
	opts    Options
	cluster *cluster
	// registries is the way to those of images.
	registries *http.Transport
	// uncarried are images of which it was told that the registry gives none with azml in it.
	uncarried *sync.Map
	// handovers are those of jobs that are being started, by their IDs.
	handovers *sync.Map
	// life ends with Close.
	life context.Context
	end  context.CancelFunc
}

var (
	_ backend.OpenedCompute = (*Driver)(nil)
	_ backend.Reachable     = (*Driver)(nil)
)

// New gives a driver for a target, whose cluster it doesn't ask yet. Errors:
// ErrInvalid, naming what is wrong.
func New(target Target, opts *Options) (*Driver, error) {
	if err := target.check(); err != nil {
		return nil, err
	}
	d := &Driver{target: target, uncarried: new(sync.Map), handovers: new(sync.Map)}
	if opts != nil {
		d.opts = *opts
	}
	if d.opts.Name == "" {
		d.opts.Name = "azml"
	}
	if d.opts.Logger == nil {
		d.opts.Logger = slog.New(slog.DiscardHandler)
	}
	if d.opts.Patience == 0 {
		d.opts.Patience = 2 * time.Minute
	}
	if d.opts.CacheDir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("%w: name a folder for programs: %w", azml.ErrInvalid, err)
		}
		d.opts.CacheDir = filepath.Join(cache, "azml", "kubernetes")
	}
	var err error
	if d.cluster, err = connect(target.Kubeconfig, target.Namespace); err != nil {
		return nil, err
	}
	if _, err := d.manifest(backend.Job{Image: "any"}, backend.Platform{}, carrying{}); err != nil { // which a patch may spoil
		return nil, err
	}
	d.registries = http.DefaultTransport.(*http.Transport).Clone()
	d.life, d.end = context.WithCancel(context.Background())
	return d, nil
}

// Close ends listeners and closes connections. Jobs go on.
func (d *Driver) Close() error {
	d.end()
	d.cluster.close()
	d.registries.CloseIdleConnections()
	return nil
}

// Platform implements backend.Remote. It is one request, or none when the target
// says it.
func (d *Driver) Platform(ctx context.Context) (backend.Platform, error) {
	if err := ctx.Err(); err != nil {
		return backend.Platform{}, err
	}
	if d.target.Platform != "" {
		return parsePlatform(d.target.Platform)
	}
	return d.cluster.platform(ctx)
}

// needed are the rights that jobs take, as docs/kubernetes.md has them in a Role.
var needed = []struct {
	group, resource string
	verbs           []string
}{
	{"batch", "jobs", []string{"create", "get", "list", "delete", "patch"}},
	{"", "pods", []string{"get", "list", "watch", "delete"}},
	{"", "pods/exec", []string{"create", "get"}},
	{"", "pods/log", []string{"get"}},
	{"", "secrets", []string{"create", "delete"}},
	{"", "services", []string{"create"}},
	{"", "events", []string{"list"}},
}

// Check tells whether the API server answers, this user may do what jobs need, and the
// namespace would take a Job such as theirs, which is not made: it has to be there, and
// nothing in it may refuse the Job. It is three requests. Errors: ErrUnavailable,
// ErrNotFound for the namespace, ErrDenied naming the rights that are missing or saying who
// refuses, ErrInvalid for what the target's settings make of a Job, ErrUnsupported for
// nodes of another system than Linux.
func (d *Driver) Check(ctx context.Context) error {
	on, err := d.Platform(ctx)
	if err != nil {
		return err
	}
	if on.OS != "linux" {
		return fmt.Errorf("%w: jobs need nodes of linux, not %s", azml.ErrUnsupported, on.OS)
	}
	review, err := d.cluster.reviews.Create(ctx, &authorizationv1.SelfSubjectRulesReview{
		Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: d.cluster.namespace}}, metav1.CreateOptions{})
	if err != nil {
		return classify(ctx, err)
	}
	var missing []string
	for _, n := range needed {
		for _, verb := range n.verbs {
			if !allows(review.Status.ResourceRules, n.group, n.resource, verb) {
				missing = append(missing, verb+" "+n.resource)
			}
		}
	}
	if len(missing) > 0 && !review.Status.Incomplete {
		return fmt.Errorf("%w: in namespace %s this user may not: %s; docs/kubernetes.md has a Role that is enough",
			azml.ErrDenied, d.cluster.namespace, strings.Join(missing, ", "))
	}
	return nil
}

// Rehearse implements backend.Rehearser: it has the API server look at a Job as those
// of jobs are.
func (d *Driver) Rehearse(ctx context.Context) error {
	on, err := d.Platform(ctx)
	if err != nil {
		return err
	}
	m, err := d.manifest(backend.Job{ID: "rehearsal", Image: cmp.Or(d.target.Image, "any")}, on, carrying{})
	if err != nil {
		return err
	}
	_, err = d.cluster.jobs.Create(ctx, m, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	switch err = classify(ctx, err); {
	case err != nil && strings.Contains(err.Error(), "does not support dry run"): // a webhook, of which nothing is known then
		return nil
	case errors.Is(err, azml.ErrNotFound):
		return fmt.Errorf("namespace %s: make it, or name another: %w", d.cluster.namespace, err)
	case err != nil:
		return fmt.Errorf("namespace %s does not take a Job as runs have it: %w", d.cluster.namespace, err)
	}
	return nil
}

func allows(rules []authorizationv1.ResourceRule, group, resource, verb string) bool {
	has := func(list []string, name string) bool {
		for _, item := range list {
			if item == name || item == "*" {
				return true
			}
		}
		return false
	}
	for _, r := range rules {
		if has(r.APIGroups, group) && has(r.Resources, resource) && has(r.Verbs, verb) && len(r.ResourceNames) == 0 {
			return true
		}
	}
	return false
}

// key names what belongs to a job, whatever characters its ID has.
func (d *Driver) key(id string) string {
	sum := sha256.Sum256([]byte(d.opts.Name + "\x00" + id))
	return hex.EncodeToString(sum[:12])
}

// name gives the name of a job's Job and Secret.
func (d *Driver) name(id string) string { return "azml-" + d.key(id) }

// label is what all Jobs and pods of this driver have.
func (d *Driver) label() string {
	sum := sha256.Sum256([]byte(d.opts.Name))
	return hex.EncodeToString(sum[:12])
}

// persist makes a call again and again while the API server does not answer, for as
// long as patience lasts.
func (d *Driver) persist(ctx context.Context, call func() error) error {
	until := time.Now().Add(d.opts.Patience)
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		err := call()
		if !errors.Is(err, azml.ErrUnavailable) || time.Now().After(until) {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
