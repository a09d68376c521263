select epoch.epoch, lane.id, lane.head
from epoch
cross join lane
