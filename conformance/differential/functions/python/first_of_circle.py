from second_of_circle import handler
