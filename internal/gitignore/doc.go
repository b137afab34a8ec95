// Package gitignore decides which files of a folder are ignored, by the rules
// that git itself applies to .gitignore files: last match wins, deeper files
// win over shallower ones, and what lies in an ignored folder can't be taken
// back.
//
// Names are compared byte by byte and always with their case, whatever the
// platform, so that one folder gives one answer everywhere. Git's settings
// (core.excludesFile, core.ignoreCase, .git/info/exclude) are not read.
//
// In one point versions of git differ. In a pattern with a folder in it, where
// plain text is followed directly by two or more asterisks ("ab**/c", "/ab**"),
// git before 2.52 lets these asterisks stand for folders too; later versions
// read them as a single one. This package does as the former, which is what
// most installed versions do.
//
// No pattern is expensive: one comparison takes at most the length of the
// pattern times the length of the path.
package gitignore
