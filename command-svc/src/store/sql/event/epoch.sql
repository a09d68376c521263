select epoch from epoch
