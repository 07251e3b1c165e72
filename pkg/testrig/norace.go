//go:build !race

package testrig

const raceDetector = false
