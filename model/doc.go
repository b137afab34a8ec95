// Package model is the model registry. A model is a name with versions 1, 2,
// 3 …; a version is an immutable set of files with a description, tags and
// properties. Registering the same name again makes the next version, however
// many register at once, and a number is never given twice, not even after its
// version was deleted. Files are content-addressed: what the workspace has
// already, for example as a run's output, is not stored again.
package model
