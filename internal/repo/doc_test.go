package repo

import (
	"fmt"
	"go/ast"
	"go/token"
	"strings"
	"testing"
)

// docs collects what lacks a comment.
type docs struct {
	module   *module
	problems []string
}

// docProblems lists the packages that don't have exactly one comment, and the
// exported names, fields and methods that have none.
//
// A comment above a group of constants or variables counts for the group's
// only name; in a larger group each name has its own, above it or on its line.
// Embedded fields are documented by their type. Methods of unexported types
// are not seen by users and not asked for.
func docProblems(m *module) []string {
	d := &docs{module: m}
	for _, p := range m.sorted() {
		if len(p.files) == 0 {
			continue
		}
		d.packageComment(p)
		for _, s := range p.files {
			for _, decl := range s.ast.Decls {
				d.declaration(decl)
			}
		}
	}
	return d.problems
}

func (d *docs) packageComment(p *pkg) {
	var with []string
	for _, s := range p.files {
		if strings.TrimSpace(s.ast.Doc.Text()) != "" {
			with = append(with, s.path)
		}
	}
	if len(with) != 1 {
		d.problems = append(d.problems, fmt.Sprintf("package %q has %d package comments directly above its package clauses %q, want one", p.dir, len(with), with))
	}
}

func (d *docs) declaration(decl ast.Decl) {
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		if decl.Name.IsExported() && (decl.Recv == nil || ast.IsExported(receiver(decl))) {
			d.want(decl.Name, decl.Doc)
		}
	case *ast.GenDecl:
		for _, spec := range decl.Specs {
			group := decl.Doc
			if len(decl.Specs) > 1 {
				group = nil
			}
			d.spec(spec, group)
		}
	}
}

func (d *docs) spec(spec ast.Spec, group *ast.CommentGroup) {
	switch spec := spec.(type) {
	case *ast.ValueSpec:
		for _, name := range spec.Names {
			d.want(name, group, spec.Doc, spec.Comment)
		}
	case *ast.TypeSpec:
		d.want(spec.Name, group, spec.Doc, spec.Comment)
		if spec.Name.IsExported() {
			d.members(spec.Type)
		}
	}
}

// members asks for the comments of the fields and methods in a type, also of
// the structs within it.
func (d *docs) members(typ ast.Expr) {
	ast.Inspect(typ, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncType:
			return false // its fields are parameters
		case *ast.Field:
			for _, name := range n.Names {
				d.want(name, n.Doc, n.Comment)
			}
		}
		return true
	})
}

// want notes a problem when the name is exported and has none of the comments.
func (d *docs) want(name *ast.Ident, comments ...*ast.CommentGroup) {
	if !name.IsExported() {
		return
	}
	for _, c := range comments {
		if strings.TrimSpace(c.Text()) != "" {
			return
		}
	}
	d.problems = append(d.problems, fmt.Sprintf("%s: %s has no comment", d.module.at(name.Pos()), name.Name))
}

// receiver gives the name of a method's type.
func receiver(f *ast.FuncDecl) string {
	typ := f.Recv.List[0].Type
	for {
		switch t := typ.(type) {
		case *ast.StarExpr:
			typ = t.X
		case *ast.IndexExpr:
			typ = t.X
		case *ast.IndexListExpr:
			typ = t.X
		case *ast.Ident:
			return t.Name
		default:
			return token.ILLEGAL.String()
		}
	}
}

func TestDocs(t *testing.T) {
	t.Parallel()
	requireNone(t, docProblems(repository(t)))
}

func TestDocsCanFail(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		text string // after the package clause of a commented package
		want string
	}{
		"function":               {"func F() {}", "x/x.go:3: F has no comment"},
		"documented":             {"// F does.\nfunc F() {}", ""},
		"unexported":             {"func f() {}", ""},
		"type":                   {"type T int", "T has no comment"},
		"method":                 {"func (t *T) M() {}", "M has no comment"},
		"method of generic type": {"func (t *T[A, B]) M() {}", "M has no comment"},
		"method of hidden type":  {"func (t *t) M() {}", ""},
		"field":                  {"// T is.\ntype T struct { A int }", "A has no comment"},
		"one of two on a line":   {"// T is.\ntype T struct { a, B int }", "B has no comment"},
		"line comment":           {"// T is.\ntype T struct {\n A int // A is.\n}", ""},
		"embedded":               {"// T is.\ntype T struct { U }", ""},
		"field of inner struct":  {"// T is.\ntype T struct {\n // A is.\n A []struct { B int } \n}", "B has no comment"},
		"field of hidden type":   {"type t struct { A int }", ""},
		"interface method":       {"// T is.\ntype T interface { M(X int) }", "M has no comment"},
		"function type":          {"// T is.\ntype T func(X int)", ""},
		"group comment only":     {"// All.\nconst (\n A = 1\n b = 2\n)", "A has no comment"},
		"group of one":           {"// A is.\nconst (\n A = 1\n)", ""},
		"commented in group":     {"const (\n // A is.\n A = 1\n B = 2 // B is.\n)", ""},
		"directive is no text":   {"//go:noinline\nfunc F() {}", "F has no comment"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := sketch(t, map[string]string{"x/x.go": "// Package x is.\npackage x\n" + tt.text})
			requireProblem(t, docProblems(m), tt.want)
		})
	}
}

func TestPackageCommentsCanFail(t *testing.T) {
	t.Parallel()
	const with, without, cut = "// Package x is.\npackage x", "package x", "// Package x is.\n\npackage x"
	for name, tt := range map[string]struct {
		files map[string]string
		want  string
	}{
		"one":        {map[string]string{"x/a.go": with, "x/b.go": without}, ""},
		"none":       {map[string]string{"x/a.go": without}, `package "x" has 0 package comments`},
		"two":        {map[string]string{"x/a.go": with, "x/b.go": with}, `package "x" has 2 package comments`},
		"cut off":    {map[string]string{"x/a.go": cut}, `package "x" has 0 package comments`},
		"build tag":  {map[string]string{"x/a.go": "//go:build linux\n\n" + with}, ""},
		"tests only": {map[string]string{"x/a_test.go": without}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireProblem(t, docProblems(sketch(t, tt.files)), tt.want)
		})
	}
}
