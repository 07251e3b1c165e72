// Package control carries what people do in Telegram from the one program that polls for it to whom it concerns, through
// datawatch.control: a token has one poller, and each service decides about its own.
//
// Order and loss: what was pressed or written comes in its order, at least once: a listener that is killed hears the last
// of it again. What nobody listened for within the topic's retention is gone. A listener that comes for the first time
// hears what is written from then on.
//
// It refuses to judge who may command: the poller has done that.
package control
