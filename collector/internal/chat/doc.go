// Package chat answers what people write to the bot about the live feed, and passes on what concerns other services.
//
// One collector at a time polls Telegram. What it is told of the feed (/follow, /pause, …) it does itself and keeps in
// datawatch.state under follow/<chat>/<thread>, before it answers; everything else goes to datawatch.control, under the
// number of Telegram's update, where the service that it concerns hears of it. An update is confirmed to Telegram when
// that is done, so that a collector that is killed hears of it again; doing it twice changes nothing.
//
// What chats follow reaches every collector's feed by that state (Watch): whichever of them runs a source shows it. What a
// feed left unshown when its collector stopped lies there too, under feed-left/…, until the desk has told it as a number.
//
// What changed of late (/tables, /last) it reads of every collector's signs of life, which say how much of which stream lies
// in which stretch of raw, and the rows from there. A recording is two places in clean under recording/…; how large it would
// be is measured while it runs. Its end is stored before its files are sent, so they come though the desk moves between.
//
// It refuses to judge who may command: the poller hears only the configuration's chats and users.
package chat
