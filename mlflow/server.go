package mlflow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/azml-go/azml"
)

// server reads from a running MLflow server.
type server struct{ *client }

// The sizes of pages that are asked for.
const (
	experimentsPage = 1000
	runsPage        = 200
	pointsPage      = 25_000
)

func openServer(ctx context.Context, address string, login Login) (source, error) {
	c, err := newClient(address, login)
	if err != nil {
		return nil, err
	}
	s := &server{c}
	for _, err := range s.experiments(ctx) { // the first request says whether it is one
		if err != nil {
			return nil, err
		}
		break
	}
	return s, nil
}

func (s *server) name() string { return s.base.String() }

func (s *server) close() error {
	s.http.HTTPClient.CloseIdleConnections()
	return nil
}

// pages asks for page after page until one names no next.
func pages[T any](ask func(token string) (page []T, next string, err error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for token := ""; ; {
			page, next, err := ask(token)
			for _, item := range page {
				if err == nil && !yield(item, nil) {
					return
				}
			}
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			if next == "" || next == token {
				return
			}
			token = next
		}
	}
}

func (s *server) experiments(ctx context.Context) iter.Seq2[experiment, error] {
	return pages(func(token string) ([]experiment, string, error) {
		var answer struct {
			Experiments []experimentMessage `json:"experiments"`
			Next        string              `json:"next_page_token"`
		}
		err := s.post(ctx, apiPath+"experiments/search", map[string]any{"max_results": experimentsPage, "view_type": "ALL", "page_token": token,
			"order_by": []string{"creation_time ASC"}}, &answer)
		page := make([]experiment, len(answer.Experiments))
		for i, m := range answer.Experiments {
			page[i] = m.experiment()
		}
		return page, answer.Next, err
	})
}

func (s *server) runs(ctx context.Context, experimentID string) iter.Seq2[run, error] {
	return pages(func(token string) ([]run, string, error) {
		var answer struct {
			Runs []runMessage `json:"runs"`
			Next string       `json:"next_page_token"`
		}
		err := s.post(ctx, apiPath+"runs/search", map[string]any{"experiment_ids": []string{experimentID}, "run_view_type": "ALL",
			"max_results": runsPage, "page_token": token, "order_by": []string{"attributes.start_time ASC"}}, &answer)
		page := make([]run, len(answer.Runs))
		for i, m := range answer.Runs {
			page[i] = m.run()
		}
		return page, answer.Next, err
	})
}

func (s *server) run(ctx context.Context, id string) (run, error) {
	var answer struct {
		Run runMessage `json:"run"`
	}
	err := s.get(ctx, apiPath+"runs/get", url.Values{"run_id": {id}}, &answer)
	return answer.Run.run(), err
}

func (s *server) points(ctx context.Context, r run, metric string) iter.Seq2[point, error] {
	return pages(func(token string) ([]point, string, error) {
		query := url.Values{"run_id": {r.id}, "metric_key": {metric}, "max_results": {strconv.Itoa(pointsPage)}}
		if token != "" {
			query.Set("page_token", token)
		}
		var answer struct {
			Metrics []metricMessage `json:"metrics"`
			Next    string          `json:"next_page_token"`
		}
		err := s.get(ctx, apiPath+"metrics/get-history", query, &answer)
		page := make([]point, len(answer.Metrics))
		for i, m := range answer.Metrics {
			page[i] = m.point()
		}
		return page, answer.Next, err
	})
}

// files asks the server for the artifacts, wherever it keeps them: what its
// URIs name is never opened from here, for a server could name anything.
func (s *server) files(ctx context.Context, at place) iter.Seq2[file, error] {
	d, err := s.directory(at)
	if err != nil {
		return func(yield func(file, error) bool) { yield(file{}, err) }
	}
	return walk(func(folder string) iter.Seq2[entry, error] {
		return pages(func(token string) ([]entry, string, error) {
			query := url.Values{}
			maps.Copy(query, d.query)
			if at := path.Join(d.root, folder); at != "" {
				query.Set(d.folder, at)
			}
			if token != "" {
				query.Set("page_token", token)
			}
			var answer artifactList
			err := s.get(ctx, d.list, query, &answer)
			if refused, ok := errors.AsType[*refusal](err); ok && refused.status >= http.StatusInternalServerError {
				err = &unreadable{reason: fmt.Sprintf("artifacts that the server itself can't list (%s)", scheme(at.uri))}
			}
			for i, e := range answer.Files {
				if d.names { // the others are paths
					answer.Files[i].Path = path.Join(folder, path.Base(e.Path))
				}
			}
			return answer.Files, answer.Next, err
		})
	})
}

// directory is how a server lists and gives the artifacts of a place.
type directory struct {
	list   string     // the path that lists
	query  url.Values // what names the place
	folder string     // the parameter for a folder
	root   string     // what stands before each path
	names  bool       // it lists names, not paths
	get    func(path string) (string, url.Values)
}

func (s *server) directory(at place) (directory, error) {
	switch {
	case at.runID != "":
		query := url.Values{"run_id": {at.runID}, "run_uuid": {at.runID}}
		return directory{list: apiPath + "artifacts/list", query: query, folder: "path", get: func(path string) (string, url.Values) {
			return "/get-artifact", url.Values{"run_id": query["run_id"], "run_uuid": query["run_uuid"], "path": {path}}
		}}, nil
	case scheme(at.uri) == proxyScheme:
		u, err := url.Parse(at.uri)
		if err != nil || u.Host != "" && u.Host != s.base.Host {
			return directory{}, &unreadable{reason: "artifacts on other servers"}
		}
		root := strings.Trim(u.Path, "/")
		return directory{list: proxyPath, folder: "path", root: root, names: true, get: func(p string) (string, url.Values) {
			return proxyPath + "/" + path.Join(root, p), nil
		}}, nil
	case at.modelID != "":
		return directory{list: apiPath + "logged-models/" + at.modelID + "/artifacts/directories", folder: "artifact_directory_path",
			get: func(path string) (string, url.Values) {
				return ajaxPath + "logged-models/" + at.modelID + "/artifacts/files", url.Values{"artifact_file_path": {path}}
			}}, nil
	}
	return directory{}, &unreadable{reason: "files of models on " + scheme(at.uri)}
}

// proxyPath is where a server has the artifacts of "mlflow-artifacts:" URIs.
const proxyPath = "/api/2.0/mlflow-artifacts/artifacts"

// artifactList is the answer with what lies in a folder.
type artifactList struct {
	Files []entry `json:"files"`
	Next  string  `json:"next_page_token"`
}

// entry is what lies in a folder of artifacts.
type entry struct {
	Path   string `json:"path"` // from the place's root
	Folder bool   `json:"is_dir"`
	Size   long   `json:"file_size"`
}

// walk goes through all folders. A server that lists a folder below itself is
// stopped by the depth.
func walk(list func(folder string) iter.Seq2[entry, error]) iter.Seq2[file, error] {
	const deepest = 100
	return func(yield func(file, error) bool) {
		var in func(folder string, depth int) bool
		in = func(folder string, depth int) bool {
			if depth > deepest {
				return yield(file{}, fmt.Errorf("%w: the folder %q of artifacts is more than %d deep", azml.ErrUnsupported, folder, deepest))
			}
			for e, err := range list(folder) {
				switch {
				case err != nil:
					yield(file{}, err)
					return false
				case e.Folder && !in(e.Path, depth+1):
					return false
				case !e.Folder && !yield(file{path: e.Path, size: int64(e.Size)}, nil):
					return false
				}
			}
			return true
		}
		in("", 0)
	}
}

func (s *server) open(ctx context.Context, at place, path string) (io.ReadCloser, error) {
	d, err := s.directory(at)
	if err != nil {
		return nil, err
	}
	address, query := d.get(path)
	resp, err := s.send(ctx, http.MethodGet, address, query, nil, nil)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// leftOut looks for traces; a server counts them for nobody.
func (s *server) leftOut(ctx context.Context, e experiment) (map[string]int64, error) {
	var answer struct {
		Traces []struct{} `json:"traces"`
	}
	err := s.get(ctx, apiPath+"traces", url.Values{"experiment_ids": {e.id}, "max_results": {"1"}}, &answer)
	if _, ok := errors.AsType[*refusal](err); ok { // it serves none
		return nil, nil
	}
	if err != nil || len(answer.Traces) == 0 {
		return nil, err
	}
	return map[string]int64{"experiments with traces": 1}, nil
}

func (s *server) others(ctx context.Context) (map[string]int64, error) {
	var answer struct {
		Webhooks []struct{} `json:"webhooks"`
	}
	err := s.get(ctx, apiPath+"webhooks", url.Values{"max_results": {strconv.Itoa(modelsPage)}}, &answer)
	if _, ok := errors.AsType[*refusal](err); ok { // it serves none, or not to us
		return nil, nil
	}
	return map[string]int64{"webhooks": int64(len(answer.Webhooks))}, err
}

// scheme gives the kind of store that a URI names.
func scheme(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme == "" {
		return "local files"
	}
	return u.Scheme
}
