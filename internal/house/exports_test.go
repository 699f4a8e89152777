package house_test

import (
	"go/ast"
	"go/token"
	"path"
	"strconv"
	"strings"
)

// exports finds types of internal packages in what a public package exports: its users could hold
// such a value but never name it.
func (w *walker) exports(set *token.FileSet, file *ast.File) {
	internal := internals(file)
	if len(internal) == 0 {
		return
	}
	var shown func(ast.Node)
	shown = func(n ast.Node) {
		ast.Inspect(n, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.StructType:
				eachExported(n.Fields, shown)
				return false
			case *ast.InterfaceType:
				eachExported(n.Methods, shown)
				return false
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && internal[x.Name] {
					w.faultf("%s: a public package exports %s.%s of an internal one", set.Position(n.Pos()), x.Name, n.Sel.Name)
				}
			}
			return true
		})
	}
	for _, decl := range file.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if decl.Name.IsExported() && (decl.Recv == nil || ast.IsExported(receiver(decl))) {
				shown(decl.Type)
			}
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				eachExportedSpec(spec, shown)
			}
		}
	}
}

// internals are the local names of the internal packages of this module that a file imports.
func internals(file *ast.File) map[string]bool {
	names := map[string]bool{}
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		below, ours := strings.CutPrefix(imported, module+"/")
		switch {
		case err != nil || !ours || public(below):
		case spec.Name != nil:
			names[spec.Name.Name] = true
		default:
			names[path.Base(imported)] = true
		}
	}
	return names
}

// eachExported shows the types of the fields or methods that other packages see; an embedded one
// has no name of its own and counts as seen.
func eachExported(list *ast.FieldList, shown func(ast.Node)) {
	for _, field := range list.List {
		if len(field.Names) == 0 || field.Names[0].IsExported() {
			shown(field.Type)
		}
	}
}

func eachExportedSpec(spec ast.Spec, shown func(ast.Node)) {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		if spec.Name.IsExported() {
			shown(spec.Type)
		}
	case *ast.ValueSpec:
		if spec.Type != nil && spec.Names[0].IsExported() {
			shown(spec.Type)
		}
	}
}

// receiver is the name of the type that a method belongs to.
func receiver(f *ast.FuncDecl) string {
	name := ""
	ast.Inspect(f.Recv.List[0].Type, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && name == "" {
			name = id.Name
		}
		return name == ""
	})
	return name
}
