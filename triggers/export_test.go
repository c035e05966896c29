package triggers

// Judge is how the pump judges an item.
var Judge = judge
