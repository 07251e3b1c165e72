//go:build race

package testrig

const raceDetector = true
