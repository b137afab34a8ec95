package mlflow

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/azml-go/azml"
)

// modelsPage is the size of pages of models that are asked for.
const modelsPage = 100

func (s *server) loggedModels(ctx context.Context, experimentID string) iter.Seq2[loggedModel, error] {
	return pages(func(token string) ([]loggedModel, string, error) {
		var answer struct {
			Models []loggedModelMessage `json:"models"`
			Next   string               `json:"next_page_token"`
		}
		message := map[string]any{"experiment_ids": []string{experimentID}, "max_results": modelsPage,
			"order_by": []map[string]any{{"field_name": "creation_timestamp", "ascending": true}}}
		if token != "" {
			message["page_token"] = token
		}
		err := unserved(s.post(ctx, apiPath+"logged-models/search", message, &answer))
		page := make([]loggedModel, len(answer.Models))
		for i, m := range answer.Models {
			page[i] = m.loggedModel()
		}
		return page, answer.Next, err
	})
}

// unserved makes nothing of the error that a server doesn't know a part of the
// interface: then it has none of these.
func unserved(err error) error {
	refused, ok := errors.AsType[*refusal](err)
	if ok && (refused.status == http.StatusNotFound || refused.status == http.StatusNotImplemented || refused.status == http.StatusMethodNotAllowed) {
		return nil
	}
	return err
}

func (s *server) models(ctx context.Context) iter.Seq2[registeredModel, error] {
	return withPrompts("", func(m registeredModel) string { return m.name }, func(filter string) iter.Seq2[registeredModel, error] {
		return pages(func(token string) ([]registeredModel, string, error) {
			var answer struct {
				Models []registeredModelMessage `json:"registered_models"`
				Next   string                   `json:"next_page_token"`
			}
			err := unserved(s.get(ctx, apiPath+"registered-models/search", search(filter, token), &answer))
			page := make([]registeredModel, len(answer.Models))
			for i, m := range answer.Models {
				page[i] = m.model()
			}
			return page, answer.Next, err
		})
	})
}

// withPrompts yields what a search for models or versions finds, and then the
// prompts, which servers hide unless they are asked for. Servers that are older
// than prompts may have shown the same before, or refuse the question.
func withPrompts[T any](filter string, key func(T) string, search func(filter string) iter.Seq2[T, error]) iter.Seq2[T, error] {
	prompts := "tags.`" + tagPrompt + "` = 'true'"
	if filter != "" {
		prompts = filter + " AND " + prompts
	}
	return func(yield func(T, error) bool) {
		seen := map[string]bool{}
		for _, f := range []string{filter, prompts} {
			for item, err := range search(f) {
				if _, refused := errors.AsType[*refusal](err); refused && f == prompts && errors.Is(err, azml.ErrInvalid) {
					return
				}
				if err == nil && seen[key(item)] {
					continue
				}
				seen[key(item)] = true
				if !yield(item, err) || err != nil {
					return
				}
			}
		}
	}
}

// search gives the query for a page of models.
func search(filter, token string) url.Values {
	query := url.Values{"max_results": {strconv.Itoa(modelsPage)}}
	if filter != "" {
		query.Set("filter", filter)
	}
	if token != "" {
		query.Set("page_token", token)
	}
	return query
}

func (s *server) versions(ctx context.Context, model string) iter.Seq2[modelVersion, error] {
	quote := "'"
	if strings.Contains(model, quote) {
		quote = `"`
	}
	return func(yield func(modelVersion, error) bool) {
		var all []modelVersion
		for v, err := range withPrompts("name = "+quote+model+quote, func(v versionMessage) string { return strconv.Itoa(int(v.Version)) }, s.versionPages(ctx)) {
			if err != nil {
				yield(modelVersion{}, err)
				return
			}
			all = append(all, v.version())
		}
		slices.SortFunc(all, func(a, b modelVersion) int { return a.number - b.number })
		for _, v := range all {
			err := s.locate(ctx, model, &v)
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// versionPages gives the search for versions.
func (s *server) versionPages(ctx context.Context) func(filter string) iter.Seq2[versionMessage, error] {
	return func(filter string) iter.Seq2[versionMessage, error] {
		return pages(func(token string) ([]versionMessage, string, error) {
			var answer struct {
				Versions []versionMessage `json:"model_versions"`
				Next     string           `json:"next_page_token"`
			}
			err := s.get(ctx, apiPath+"model-versions/search", search(filter, token), &answer)
			return answer.Versions, answer.Next, err
		})
	}
}

// locate asks where the version's files are.
func (s *server) locate(ctx context.Context, model string, v *modelVersion) error {
	var answer struct {
		URI string `json:"artifact_uri"`
	}
	err := s.get(ctx, apiPath+"model-versions/get-download-uri", url.Values{"name": {model}, "version": {strconv.Itoa(v.number)}}, &answer)
	v.storage = answer.URI
	if _, ok := errors.AsType[*refusal](err); ok { // what it was registered from is gone, for instance
		return nil
	}
	if err != nil {
		return fmt.Errorf("version %d: %w", v.number, err)
	}
	return nil
}
