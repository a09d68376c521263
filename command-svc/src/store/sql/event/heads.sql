select id as lane, head as seq from lane where head > 0
