package scoring

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strings"

	"github.com/azml-go/azml"
)

// swaggerKinds are the documents: the version as the contract names it, its
// long name, and the user's files that replace it, the first one that exists.
var swaggerKinds = []struct {
	version, long string
	files         []string
}{
	{"2", "2.0", []string{"swagger.json", "swagger2.json"}},
	{"3", "3.0", []string{"swagger3.json"}},
	{"3.1", "3.1", []string{"swagger3.1.json"}},
}

// swaggerDocs are the documents by each name of their version.
type swaggerDocs struct {
	docs      map[string][]byte
	supported []string
}

func newSwaggerDocs(cfg *DeploymentConfig) (*swaggerDocs, error) {
	d := &swaggerDocs{docs: map[string][]byte{}}
	for _, kind := range swaggerKinds {
		doc, err := userSwagger(cfg.SwaggerFiles, kind.files)
		if err != nil {
			return nil, err
		}
		if doc == nil && canExpress(cfg.Schema, kind.version, kind.long) {
			if doc, err = json.Marshal(generateSwagger(cfg, kind.version)); err != nil {
				return nil, fmt.Errorf("%w: the service's schema is not JSON: %w", azml.ErrInvalid, err)
			}
		}
		if doc != nil {
			d.docs[kind.version], d.docs[kind.long] = doc, doc
			d.supported = append(d.supported, kind.version)
		}
	}
	return d, nil
}

func canExpress(schema *Schema, names ...string) bool {
	return schema == nil || schema.Versions == nil ||
		slices.ContainsFunc(names, func(name string) bool { return slices.Contains(schema.Versions, name) })
}

// userSwagger reads the first of the files that exists, nil when none does.
func userSwagger(files fs.FS, names []string) ([]byte, error) {
	if files == nil {
		return nil, nil
	}
	for _, name := range names {
		doc, err := fs.ReadFile(files, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%w: swagger file %s: %w", azml.ErrInvalid, name, err)
		}
		if !json.Valid(doc) {
			return nil, fmt.Errorf("%w: swagger file %s is not JSON", azml.ErrInvalid, name)
		}
		return doc, nil
	}
	return nil, nil
}

// missing says, in the contract's words, that there is no document of a version.
func (d *swaggerDocs) missing(version string) string {
	supported := strings.Join(d.supported, ", ")
	for _, kind := range swaggerKinds {
		if version == kind.version || version == kind.long {
			return fmt.Sprintf("Swagger version [%s] is not supported for the scoring script. Supported swagger versions: [%s].", version, supported)
		}
	}
	return fmt.Sprintf("Swagger version [%s] is not valid. Supported versions: [%s].", version, supported)
}

// swaggerJSON answers /swagger.json.
func (s *Server) swaggerJSON(w *recorder, r *http.Request, name string) {
	if !allowMethods(w, r, http.MethodGet, http.MethodHead, http.MethodOptions) {
		return
	}
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusOK)
		return
	}
	if !s.authorized(w, r) {
		return
	}
	version := "2"
	if asked := r.URL.Query()["version"]; len(asked) > 0 {
		version = asked[0]
	}
	d, ok := s.pick(w, name)
	if !ok {
		return
	}
	doc, ok := d.swagger.docs[version]
	if !ok {
		refuse(w, http.StatusNotFound, d.swagger.missing(version))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set(headerRunFailed, "False")
	_, _ = w.Write(doc) // a client that is gone needs no answer
}

type object = map[string]any

// generateSwagger writes the document of a version for the service.
func generateSwagger(cfg *DeploymentConfig, version string) object {
	g := swaggerWriter{v2: version == "2"}
	prefix := ""
	if trimmed := strings.Trim(cfg.PathPrefix, "/"); trimmed != "" {
		prefix = "/" + trimmed
	}
	doc := object{
		"info": object{"title": cfg.Service, "version": cfg.Version, "description": "The scoring service " + cfg.Service + "."},
		"paths": object{
			prefix + "/": object{"get": g.operation("ServiceHealthCheck", "Tells whether the service is up.",
				"The service is up; the answer is the text Healthy.", object{"type": "string"}, "text/plain")},
			prefix + "/score":        object{"post": g.scoreOperation()},
			prefix + "/swagger.json": object{"get": g.swaggerOperation()},
		},
	}
	definitions := object{
		"ServiceInput": schemaOf(cfg.Schema, true), "ServiceOutput": schemaOf(cfg.Schema, false),
		"ErrorResponse": object{"type": "object", "properties": object{"message": object{"type": "string"}}},
	}
	bearer := object{"Bearer": object{"type": "apiKey", "in": "header", "name": "Authorization",
		"description": "The word Bearer, a space and the key."}}
	if g.v2 {
		doc["swagger"] = "2.0"
		doc["schemes"] = []string{"https", "http"}
		doc["consumes"], doc["produces"] = []string{"application/json"}, []string{"application/json"}
		doc["definitions"], doc["securityDefinitions"] = definitions, bearer
		return doc
	}
	doc["openapi"] = map[string]string{"3": "3.0.3", "3.1": "3.1.0"}[version]
	doc["components"] = object{"schemas": definitions, "securitySchemes": bearer}
	return doc
}

func schemaOf(schema *Schema, input bool) json.RawMessage {
	var declared json.RawMessage
	switch {
	case schema != nil && input:
		declared = schema.Input
	case schema != nil:
		declared = schema.Output
	}
	if len(declared) == 0 {
		return json.RawMessage(`{"type":"object","example":{}}`)
	}
	return declared
}

// swaggerWriter writes the parts that differ between the versions.
type swaggerWriter struct{ v2 bool }

func (g swaggerWriter) ref(name string) object {
	if g.v2 {
		return object{"$ref": "#/definitions/" + name}
	}
	return object{"$ref": "#/components/schemas/" + name}
}

func (g swaggerWriter) response(text string, schema object, mediaType string) object {
	if g.v2 {
		return object{"description": text, "schema": schema}
	}
	return object{"description": text, "content": object{mediaType: object{"schema": schema}}}
}

func (g swaggerWriter) operation(id, text, success string, schema object, mediaType string) object {
	return object{"operationId": id, "description": text, "responses": object{
		"200":     g.response(success, schema, mediaType),
		"default": g.response("The request failed.", g.ref("ErrorResponse"), "application/json"),
	}}
}

func (g swaggerWriter) scoreOperation() object {
	const json = "application/json"
	op := g.operation("RunMLService", "Scores the input with the service's model.", "The prediction.", g.ref("ServiceOutput"), json)
	op["security"] = []object{{"Bearer": []string{}}}
	if g.v2 {
		op["parameters"] = []object{{"in": "body", "name": "serviceInputPayload", "description": "The input.", "schema": g.ref("ServiceInput")}}
	} else {
		op["requestBody"] = object{"description": "The input.", "content": object{json: object{"schema": g.ref("ServiceInput")}}}
	}
	return op
}

func (g swaggerWriter) swaggerOperation() object {
	op := g.operation("GetSwaggerSpec", "Gives this document.", "The document.", object{"type": "object"}, "application/json")
	parameter := object{"in": "query", "name": "version", "required": false}
	versions := []string{"2", "2.0", "3", "3.0", "3.1"}
	if g.v2 {
		parameter["type"], parameter["enum"] = "string", versions
	} else {
		parameter["schema"] = object{"type": "string", "enum": versions}
	}
	op["parameters"] = []object{parameter}
	return op
}
